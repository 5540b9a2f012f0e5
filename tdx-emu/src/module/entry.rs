// SPDX-License-Identifier: MIT OR Apache-2.0
//! VM entry: what must be in the VMCB before a virtual machine runs.
//!
//! Intercepts follow the controls of the VMCS. At most one event is injected: the one that L1 or
//! the module queued, else the virtual interrupt that is due. What cannot be taken now is waited
//! for with SVM's virtual-interrupt intercept, so that delivery happens at the exact instruction
//! and is seen by the emulator.
//!
//! Spec: SDM "VM Entries", "Event Injection", "Evaluation of Pending Virtual Interrupts".

use core::mem;

use tdcall::interruption_info::{InterruptionInfo, InterruptionType};

use super::{
    vcpu::Vcpu,
    vmcs::{Vmcs, primary, secondary},
};
use crate::{
    machine::cpus,
    observe, provoke,
    svm::{
        decode,
        narrow::low_8,
        physical,
        vmcb::{Vmcb, int_ctl, misc1, misc2, rflags},
    },
};

/// What the current virtual machine must do before it may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Run it.
    Run,
    /// An interrupt-window exit is due at once.
    InterruptWindow,
    /// An NMI-window exit is due at once.
    NmiWindow,
}

const UD_INTERCEPT: u32 = 1 << 6;
const DB_INTERCEPT: u32 = 1 << 1;
const READ_CR0_CR4: u32 = 1 << 0 | 1 << 4;
const WRITE_CR0_CR4_CR8: u32 = (1 << 0 | 1 << 4 | 1 << 8) << 16;

/// Makes the VMCB of the current virtual machine ready.
pub(crate) fn prepare(vcpu: &mut Vcpu) -> Entry {
    load_controls(vcpu);
    load_shared_ept(vcpu);
    load_event(vcpu)
}

fn load_controls(vcpu: &mut Vcpu) {
    // It is raised by the processor, which knows best how; until the next exit none is looked at.
    let looks = vcpu.current != 0 && !mem::take(&mut vcpu.vm_mut().vmcs.raises_software_interrupt);
    let vmcs = &vcpu.vm().vmcs;
    let vmcb = vmcs.vmcb;
    let mut misc1 = misc1::INTR
        | misc1::NMI
        | misc1::SMI
        | misc1::INIT
        | misc1::RDPMC
        | misc1::CPUID
        | misc1::RSM
        | misc1::INVD
        | misc1::HLT
        | misc1::INVLPGA
        | misc1::IOIO_PROT
        | misc1::MSR_PROT
        | misc1::TASK_SWITCH
        | misc1::SHUTDOWN;
    let mut misc2 = misc2::SVM | misc2::WBINVD | misc2::MONITOR | misc2::MWAIT | misc2::XSETBV;
    let mut cr = WRITE_CR0_CR4_CR8;
    let mut exceptions = UD_INTERCEPT;
    if vmcs.load_control_registers() {
        cr |= READ_CR0_CR4;
    }
    if looks {
        misc1 |= misc1::SOFTWARE_INTERRUPT;
    }
    if vcpu.current != 0 {
        for (control, intercept) in [
            (primary::RDTSC, misc1::RDTSC),
            (primary::INVLPG, misc1::INVLPG),
            (primary::PAUSE, misc1::PAUSE),
        ] {
            if vmcs.primary & control != 0 {
                misc1 |= intercept;
            }
        }
        for (control, intercept) in [
            (primary::CR3_STORE, 1 << 3),
            (primary::CR8_STORE, 1 << 8),
            (primary::CR3_LOAD, 1 << 19),
            (primary::CR8_LOAD, 1 << 24),
        ] {
            if vmcs.primary & control != 0 {
                cr |= intercept;
            }
        }
        if vmcs.secondary & secondary::DESCRIPTOR_TABLES != 0 {
            misc1 |= misc1::DESCRIPTOR_TABLES;
        }
        if vmcs.secondary & secondary::RDTSCP == 0 || vmcs.primary & primary::RDTSC != 0 {
            misc2 |= misc2::RDTSCP;
        }
        exceptions |= vmcs.exception_bitmap;
    } else if provoke::traps() {
        exceptions |= DB_INTERCEPT;
    }
    vmcb.set_intercept_cr(cr);
    vmcb.set_intercept_exceptions(exceptions);
    vmcb.set_intercept_misc1(misc1);
    vmcb.set_intercept_misc2(misc2);
}

/// The upper half of the guest-physical address space is the host's: its root entries are copied
/// below the module's root, because SVM has one root where a TD has two. The TD's share of 512 GiB
/// needs one entry.
fn load_shared_ept(vcpu: &Vcpu) {
    const FIRST_SHARED_ENTRY: u64 = 256;
    let vm = vcpu.vm();
    let enabled = vcpu.current == 0 || vcpu.l2[vcpu.current - 1].controls & 1 != 0;
    let entry = vm.shared_eptp.filter(|_| enabled).map_or(0, physical::read);
    physical::write(vm.vmcs.vmcb.n_cr3() + FIRST_SHARED_ENTRY * 8, entry);
}

fn load_event(vcpu: &mut Vcpu) -> Entry {
    let cpu = cpus::current();
    let current = vcpu.current;
    queue_pending_nmi(vcpu);
    let vm = vcpu.vm_mut();
    let vmcs = &mut vm.vmcs;
    let vmcb = vmcs.vmcb;
    vmcb.set_event_inj(0);
    let mut control = int_ctl::V_INTR_MASKING;
    if let Some(apic) = vm.apic {
        apic.update_ppr(vmcs.status);
        control |= apic.read(crate::svm::virtual_apic::register::TPR) >> 4 & 0xf;
    }
    let window_exiting = current != 0 && vmcs.primary & primary::INTERRUPT_WINDOW != 0;
    let injecting = vmcs.entry_interruption.valid();
    let nmi_window = current != 0 && vmcs.primary & primary::NMI_WINDOW != 0;
    if nmi_window && !injecting && !vmcs.blocks_nmi() {
        return Entry::NmiWindow;
    }
    if nmi_window {
        vmcs.look_again_soon();
    }
    if injecting {
        inject_queued(vmcs);
    } else if window_exiting && vmcb.interruptible() {
        return Entry::InterruptWindow;
    }
    if vmcs.nmi.in_handler() {
        vmcb.set_intercept_misc1(vmcb.intercept_misc1() | misc1::IRET);
    }
    let due = vm
        .apic
        .filter(|apic| vmcs.delivers_virtual_interrupts() && apic.has_deliverable(vmcs.status));
    let mut waiting = window_exiting;
    if let Some(apic) = due {
        if !injecting && !window_exiting && vmcb.interruptible() {
            let vector = apic.deliver(&mut vmcs.status);
            let event = InterruptionInfo::external_interrupt(vector);
            vmcb.set_event_inj(u64::from(event.into_bits()));
            if current == 0 {
                observe::l1_interrupt(cpu, vector);
                provoke::l1_interrupt(vector, vmcb.rip());
            } else {
                observe::l2_interrupt(cpu, low_8(current as u64), vector);
                provoke::l2_interrupt(vector);
            }
            // Another one may be due as soon as the handler allows it.
            waiting = apic.has_deliverable(vmcs.status);
        } else {
            waiting = true;
        }
    }
    if waiting && !exits_in_shadow(vmcb) {
        control |= int_ctl::V_IRQ | int_ctl::V_IGN_TPR;
        vmcb.set_intercept_misc1(vmcb.intercept_misc1() | misc1::VINTR);
        vmcb.set_int_vector(0);
    }
    vmcb.set_int_ctl(control);
    Entry::Run
}

/// Gives L1 the NMI that the host has set pending: not while one is being handled, not before the last #VE
/// was fetched, and not in place of another event.
fn queue_pending_nmi(vcpu: &mut Vcpu) {
    if vcpu.current != 0 || !vcpu.pending_nmi || vcpu.ve.is_some() {
        return;
    }
    let vmcs = &mut vcpu.vms[0].vmcs;
    if vmcs.entry_interruption.valid() || vmcs.blocks_nmi() {
        vmcs.look_again_soon();
        return;
    }
    vmcs.entry_interruption = InterruptionInfo::nmi();
    vcpu.pending_nmi = false;
}

/// Whether the guest stands in the shadow of STI before an instruction that exits. Then nothing
/// needs to be waited for, and nothing may: QEMU 7.2 forgets the shadow at VMRUN, so that the
/// window would open before the instruction, and `sti; hlt` would sleep on an interrupt that was
/// already taken. Before any other instruction one that comes too early does no harm.
fn exits_in_shadow(vmcb: Vmcb) -> bool {
    let in_shadow = vmcb.rflags() & rflags::IF != 0 && vmcb.int_state() & 1 != 0;
    in_shadow && decode::instruction(vmcb).is_some_and(|next| decode::halts(&next))
}

/// Hands the queued event to SVM. Software interrupts push the address behind their instruction,
/// which VMX computes from the length and SVM does not.
fn inject_queued(vmcs: &mut Vmcs) {
    let vmcb = vmcs.vmcb;
    let event = vmcs.entry_interruption;
    let kind = match event.kind() {
        InterruptionType::PRIVILEGED_SOFTWARE_EXCEPTION | InterruptionType::SOFTWARE_EXCEPTION => {
            InterruptionType::HARDWARE_EXCEPTION
        }
        kind => kind,
    };
    if event.kind() == InterruptionType::NMI {
        vmcs.nmi.begin();
    }
    if event.kind().is_software() {
        vmcb.set_rip(vmcb.rip().wrapping_add(u64::from(vmcs.entry_length)));
    }
    let bits = u64::from(event.with_kind(kind).into_bits() & 0x8000_0fff);
    vmcb.set_event_inj(bits | u64::from(vmcs.entry_error_code) << 32);
    vmcs.entry_interruption = InterruptionInfo::new();
}
