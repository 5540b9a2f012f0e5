// SPDX-License-Identifier: MIT OR Apache-2.0
//! The run loop of a virtual CPU: enter, exit, dispatch, until the host must be asked.
//!
//! Physical interrupts come in three kinds. Messages of devices are the IOMMU's: posting them is
//! not an exit, only the price of emulating an IOMMU in software. The notification vector is the
//! processor's or the module's. All others are the host's and make the virtual CPU exit to it.
//!
//! Spec: TDX-TDP "VM Exits from L2 VMs"; SDM "Posted-Interrupt Processing".

use tdcall::{exit_reason::ExitReason, interruption_info::InterruptionInfo, status::Status};

use super::{
    control_registers,
    entry::{self, Entry},
    l1_exits, l2_exit, l2_exits, posted_interrupt, smi,
    stop::Stop,
    td_exit::TdExit,
    tdh_vp_enter::reinject,
    unsupported,
    vcpu::{Vcpu, VcpuState, exception},
    ve,
};
use crate::{
    machine::{cpus, interrupt},
    observe, provoke,
    svm::{
        decode,
        exit::{self, Exit, VmxExit},
        stale_code, vmrun,
    },
};

/// Runs the virtual CPU until it leaves to the host.
pub(crate) fn until_td_exit(vcpu: &mut Vcpu) -> TdExit {
    loop {
        if let Err(exit) = step(vcpu) {
            return exit;
        }
    }
}

/// One VM entry and what its exit asks for.
fn step(vcpu: &mut Vcpu) -> Result<(), TdExit> {
    let trapped = if vcpu.stepped { provoke::Trapped::Yes } else { provoke::Trapped::No };
    vcpu.stepped = false;
    provoke::before(vcpu.current, vcpu.vmcb(), trapped);
    if vcpu.current != 0 && l2_exits::preemption_timer_expired(vcpu) {
        vcpu.vm_mut().vmcs.exit =
            VmxExit { reason: ExitReason::PREEMPTION_TIMER_EXPIRED, ..VmxExit::default() };
        l2_exit::to_l1(vcpu, Status::SUCCESS, 0);
        return Ok(());
    }
    smi::take(vcpu)?;
    match entry::prepare(vcpu) {
        Entry::Run => {}
        Entry::InterruptWindow => {
            interrupt_window(vcpu);
            return Ok(());
        }
        Entry::NmiWindow => {
            nmi_window(vcpu);
            return Ok(());
        }
    }
    let vmcb = vcpu.vmcb();
    if vcpu.current == 0 {
        provoke::step_on(vmcb);
    }
    let instructions = vmrun::run(vmcb, &mut vcpu.gprs);
    if vcpu.current == 0 {
        provoke::hide(vmcb);
        observe::l1_executed(cpus::current(), instructions);
    }
    let (event, error_code) = exit::idt_vectoring(vmcb);
    let mut decoded = exit::decode(vmcb, &vcpu.gprs);
    if let Exit::Vmx(exit) = &mut decoded
        && event.valid()
        && event.kind().is_software()
    {
        exit.length = decode::instruction(vmcb).map_or(0, |instruction| instruction.len() as u64);
    }
    let vmcs = &mut vcpu.vm_mut().vmcs;
    vmcs.keep_shadow();
    vmcs.idt_vectoring = event;
    vmcs.idt_vectoring_error = error_code;
    if vcpu.current == 0 {
        // L1 never sees its own interrupted events: they are injected again, unless the handling
        // of the exit has something more urgent.
        reinject(vcpu);
    }
    dispatch(vcpu, decoded)
}

fn dispatch(vcpu: &mut Vcpu, decoded: Exit) -> Result<(), TdExit> {
    match decoded {
        Exit::HostInterrupt => external_interrupt(vcpu),
        Exit::HostNmi => {
            interrupt::window();
            let interruption = InterruptionInfo::nmi().into_bits();
            Err(TdExit { interruption, ..TdExit::asynchronous(ExitReason::EXCEPTION_OR_NMI) })
        }
        Exit::InterruptWindow => {
            vcpu.vm_mut().vmcs.end_shadow();
            interrupt_window(vcpu);
            Ok(())
        }
        Exit::NmiHandlerEnds => {
            let vmcs = &mut vcpu.vm_mut().vmcs;
            vmcs.nmi.end(vmcs.vmcb.rip());
            reinject_l2(vcpu);
            Ok(())
        }
        Exit::SoftwareInterrupt => {
            let current = stale_code::check(vcpu.vmcb()) == stale_code::Code::Current;
            vcpu.vm_mut().vmcs.raises_software_interrupt = current;
            Ok(())
        }
        Exit::Undefined => {
            undefined(vcpu);
            Ok(())
        }
        Exit::Privileged => {
            vcpu.inject_exception_with_error(exception::GP);
            Ok(())
        }
        Exit::StoreMachineStatus(store, length) => {
            control_registers::store_machine_status(vcpu, store, length);
            reinject_l2(vcpu);
            Ok(())
        }
        Exit::Vmx(exit) if nmi_window_was_open(vcpu, exit) => {
            nmi_window(vcpu);
            Ok(())
        }
        Exit::Vmx(exit) if vcpu.current == 0 && is_trap(exit) => {
            vcpu.stepped = true;
            Ok(())
        }
        Exit::Vmx(exit) => {
            vcpu.vm_mut().vmcs.exit = exit;
            if vcpu.current == 0 {
                l1_exits::handle(vcpu, exit)
            } else {
                l2_exits::handle(vcpu, exit)
            }
        }
        Exit::Unexpected(code) => {
            unsupported::stop(vcpu, format_args!("svm exit code {code:#x}"));
        }
    }
}

/// Whether a single step ended: #DB of L1 is intercepted for nothing else.
fn is_trap(exit: VmxExit) -> bool {
    exit.interruption == InterruptionInfo::hardware_exception(exception::DB)
}

fn external_interrupt(vcpu: &mut Vcpu) -> Result<(), TdExit> {
    interrupt::window();
    let notified = posted_interrupt::take_notification();
    let external = posted_interrupt::take_external_interrupt();
    if notified {
        notification(vcpu)?;
    }
    if let Some(vector) = external {
        return Err(to_host(vector));
    }
    reinject_l2(vcpu);
    Ok(())
}

/// Gives an L2 VM back the event whose delivery the exit interrupted; for L1 that is done already.
fn reinject_l2(vcpu: &mut Vcpu) {
    if vcpu.current != 0 {
        reinject(vcpu);
    }
}

/// The notification vector arrived while the TD runs.
fn notification(vcpu: &mut Vcpu) -> Result<(), TdExit> {
    let Some(vector) = vcpu.posted.vector else { return Ok(()) };
    if !vcpu.posted.enabled {
        return Err(to_host(vector));
    }
    posted_interrupt::process(vcpu);
    if vcpu.current != 0 && posted_interrupt::l1_has_deliverable(vcpu) {
        vcpu.vm_mut().vmcs.exit = VmxExit {
            reason: ExitReason::EXTERNAL_INTERRUPT,
            interruption: InterruptionInfo::external_interrupt(vector),
            ..VmxExit::default()
        };
        l2_exit::to_l1(vcpu, Status::L2_EXIT_PENDING_INTERRUPT, 0);
    }
    Ok(())
}

fn to_host(vector: u8) -> TdExit {
    let interruption = InterruptionInfo::external_interrupt(vector).into_bits();
    TdExit { interruption, ..TdExit::asynchronous(ExitReason::EXTERNAL_INTERRUPT) }
}

/// The guest could take an interrupt. If L1 asked to know, it is told; else the next entry
/// delivers what is due.
fn interrupt_window(vcpu: &mut Vcpu) {
    let window = super::vmcs::primary::INTERRUPT_WINDOW;
    if vcpu.current != 0 && vcpu.vm().vmcs.primary & window != 0 {
        vcpu.vm_mut().vmcs.exit =
            VmxExit { reason: ExitReason::INTERRUPT_WINDOW, ..VmxExit::default() };
        l2_exit::to_l1(vcpu, Status::SUCCESS, 0);
    }
}

/// The guest can take an NMI, and L1 asked to know.
fn nmi_window(vcpu: &mut Vcpu) {
    vcpu.vm_mut().vmcs.exit = VmxExit { reason: ExitReason::NMI_WINDOW, ..VmxExit::default() };
    l2_exit::to_l1(vcpu, Status::SUCCESS, 0);
}

/// Whether an NMI window that nothing told of had opened before the instruction that `exit` is about: then
/// the window is the exit, and the instruction has not been executed.
fn nmi_window_was_open(vcpu: &Vcpu, exit: VmxExit) -> bool {
    let vmcs = &vcpu.vm().vmcs;
    vcpu.current != 0
        && vmcs.primary & super::vmcs::primary::NMI_WINDOW != 0
        && !vmcs.blocks_nmi()
        && !vmcs.idt_vectoring.valid()
        && exit.reason != ExitReason::TRIPLE_FAULT
}

/// The guest's own #UD.
fn undefined(vcpu: &mut Vcpu) {
    if vcpu.current != 0 && vcpu.vm().vmcs.exception_bitmap & 1 << exception::UD != 0 {
        vcpu.vm_mut().vmcs.exit = VmxExit {
            reason: ExitReason::EXCEPTION_OR_NMI,
            interruption: InterruptionInfo::hardware_exception(exception::UD),
            ..VmxExit::default()
        };
        l2_exit::to_l1(vcpu, Status::SUCCESS, 0);
    } else {
        vcpu.inject_exception(exception::UD);
    }
}

/// Ends the handling of an L1 instruction: completed, or stopped in one of the ways of [`Stop`].
pub(crate) fn conclude(
    vcpu: &mut Vcpu,
    length: u64,
    result: Result<(), Stop>,
) -> Result<(), TdExit> {
    if vcpu.current == 0 && matches!(result, Ok(()) | Err(Stop::Status(_))) {
        // Executed, if not by the processor.
        observe::l1_executed(cpus::current(), 1);
    }
    match result {
        Ok(()) => vcpu.vmcb().advance(length),
        Err(Stop::Status(status)) => {
            vcpu.gprs.0[vmrun::RAX] = status.0;
            vcpu.vmcb().advance(length);
        }
        Err(Stop::Exception(vector)) => vcpu.inject_exception(vector),
        Err(Stop::ExceptionWithError(vector)) => vcpu.inject_exception_with_error(vector),
        Err(Stop::Ve(information)) => ve::raise(vcpu, information),
        Err(Stop::TdExit(exit)) => {
            if exit.is_tdvmcall {
                vcpu.vmcb().advance(length);
            }
            return Err(exit);
        }
    }
    Ok(())
}

/// L1 died by a triple fault: the virtual CPU is lost, the TD is not.
pub(crate) fn disable(vcpu: &mut Vcpu) -> TdExit {
    vcpu.state = VcpuState::Disabled;
    TdExit::with_status(Status::NON_RECOVERABLE_VCPU, ExitReason::TRIPLE_FAULT)
}
