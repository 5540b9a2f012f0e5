// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDH.VP.ENTER`: the host runs a virtual CPU until it leaves again.
//!
//! Spec: TDX-ABI "TDH.VP.ENTER"; TDX-TDP "TD Entry and TD Exit with L2 VMs".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::{
    exit_reason::ExitReason,
    interruption_info::InterruptionInfo,
    status::{OperandId, Status},
};

use super::{
    l2_exit, l2_state, posted_interrupt, run,
    sept::Sept,
    td::op_state,
    td_exit::{HostRegisters, TdExit, merge_answer},
    vcpu::{HostRouted, LastTdExit, Vcpu, VcpuState},
    vmcs::Vmcs,
};
use crate::svm::{decode, narrow::low_32, physical::Hpa};

/// Flag of `TDH.VP.ENTER`: whether trying again may help, said to the guest. Legal only after a
/// trap-like asynchronous exit, of which this module has none.
pub(crate) const HOST_RECOVERABILITY_HINT: u64 = 1 << 52;

/// Flag of `TDH.VP.ENTER`: L1 shall see the exit that L2 left with.
pub(crate) const RESUME_L1: u64 = 1 << 53;

/// Enters the virtual CPU `tdvpr`; returns when it exits. The answer to a `TDG.VP.VMCALL` goes in
/// by `host`, the exit information comes out by it.
///
/// # Errors
///
/// `OPERAND_INVALID(RCX)`; `OP_STATE_INCORRECT`; `VCPU_STATE_INCORRECT`; `VCPU_ASSOCIATED`;
/// `TD_FATAL`; `SYS_*`. Nothing was entered then.
pub(crate) fn tdh_vp_enter(tdvpr: Hpa, flags: u64, host: &mut HostRegisters) -> Result<(), Status> {
    let refuse = Status::OPERAND_INVALID.with_operand(OperandId::RCX);
    if flags & !(HOST_RECOVERABILITY_HINT | RESUME_L1) != 0 {
        return Err(refuse);
    }
    let mut vcpu = Vcpu::lock(tdvpr)?;
    if vcpu.td.fatal.load(SeqCst) {
        return Err(Status::TD_FATAL.with_operand(OperandId::TDR));
    }
    if vcpu.td.op_state.load(SeqCst) != op_state::RUNNABLE {
        return Err(Status::OP_STATE_INCORRECT);
    }
    if vcpu.state != VcpuState::Ready {
        return Err(Status::VCPU_STATE_INCORRECT);
    }
    let resume_l1 = flags & RESUME_L1 != 0;
    if flags & HOST_RECOVERABILITY_HINT != 0 || (resume_l1 && vcpu.current == 0) {
        return Err(refuse);
    }
    let sept = vcpu.td.config()?.l1_sept;
    forget_stale_translations(&mut vcpu);
    // A notification that the host took itself, outside of the TD, is the host's to repeat.
    let _ = posted_interrupt::take_notification();

    if resume_l1 && vcpu.host_routed == HostRouted::None {
        vcpu.host_routed = match vcpu.last_td_exit {
            LastTdExit::Tdvmcall => HostRouted::Tdvmcall,
            LastTdExit::AsyncFault => HostRouted::Async,
        };
    }
    let exit = match enter(&mut vcpu, host, sept) {
        Ok(()) => run::until_td_exit(&mut vcpu),
        Err(exit) => exit,
    };
    exit.report(&mut vcpu, host);
    Ok(())
}

/// Host-physical addresses are kept until the host began a new epoch.
fn forget_stale_translations(vcpu: &mut Vcpu) {
    let epoch = vcpu.td.epoch.load(SeqCst);
    if vcpu.epoch == epoch {
        return;
    }
    vcpu.epoch = epoch;
    for vm in 1..=vcpu.l2_vms() {
        vcpu.l2[vm - 1].enter_state = None;
        vcpu.vms[vm].apic = None;
    }
}

/// What must happen before the current virtual machine runs on.
fn enter(vcpu: &mut Vcpu, host: &mut HostRegisters, sept: Sept) -> Result<(), TdExit> {
    if vcpu.current != 0 {
        l2_state::locate(vcpu, sept, vcpu.current)?;
        if vcpu.host_routed == HostRouted::None {
            reinject(vcpu);
        }
    }
    if vcpu.last_td_exit == LastTdExit::Tdvmcall {
        merge_answer(vcpu, host);
    }
    match core::mem::replace(&mut vcpu.host_routed, HostRouted::None) {
        HostRouted::None => {}
        HostRouted::Async => l2_exit::to_l1(vcpu, Status::L2_EXIT_HOST_ROUTED_ASYNC, 0),
        HostRouted::Tdvmcall => {
            vcpu.vm_mut().vmcs.exit.reason = ExitReason::TDCALL;
            l2_exit::to_l1(vcpu, Status::L2_EXIT_HOST_ROUTED_TDVMCALL, 0);
        }
    }
    Ok(())
}

/// Length of the instruction that is the event, if it is one: it returns behind itself.
fn event_length(vmcs: &Vmcs) -> u32 {
    if vmcs.idt_vectoring.kind().is_software() {
        decode::instruction(vmcs.vmcb).map_or(0, |instruction| low_32(instruction.len() as u64))
    } else {
        0
    }
}

/// Injects again the event whose delivery the last exit interrupted, once.
pub(crate) fn reinject(vcpu: &mut Vcpu) {
    let vmcs = &mut vcpu.vm_mut().vmcs;
    if vmcs.idt_vectoring.valid() {
        vmcs.entry_interruption = vmcs.idt_vectoring;
        vmcs.entry_error_code = vmcs.idt_vectoring_error;
        vmcs.entry_length = event_length(vmcs);
        vmcs.idt_vectoring = InterruptionInfo::new();
    }
}
