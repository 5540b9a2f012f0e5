// SPDX-License-Identifier: MIT OR Apache-2.0
//! `L2_ENTER_GUEST_STATE`: the part of an L2 VM's state that lives in L1's memory.
//!
//! Spec: TDX-ABI "L2_ENTER_GUEST_STATE".

use core::sync::atomic::Ordering::Relaxed;

use super::{sept::Sept, td_exit::TdExit, vcpu::Vcpu};
use crate::svm::{
    physical::{self, Hpa},
    virtual_apic::{InterruptStatus, VirtualApic},
    vmrun::RSP,
};

/// Offset of RFLAGS.
const RFLAGS: u64 = 128;
/// Offset of RIP.
const RIP: u64 = 136;
/// Offset of the guest interrupt status.
const INTERRUPT_STATUS: u64 = 152;

/// Finds the guest-state page and the virtual-APIC page of the L2 VM `vm` in the machine.
///
/// # Errors
///
/// A TD exit, if the host has taken one of them away; it must give it back.
pub(crate) fn locate(vcpu: &mut Vcpu, sept: Sept, vm: usize) -> Result<(), TdExit> {
    let l2 = &mut vcpu.l2[vm - 1];
    let page = |gpa: u64| -> Result<Hpa, TdExit> {
        sept.accessible(gpa).ok_or_else(|| TdExit::ept_violation(gpa, 0))
    };
    if l2.enter_state.is_none() {
        l2.enter_state = Some(page(l2.enter_state_gpa)?);
    }
    if let (None, Some(gpa)) = (vcpu.vms[vm].apic, l2.apic_gpa) {
        vcpu.vms[vm].apic = Some(VirtualApic(page(gpa)?));
    }
    Ok(())
}

/// Loads the current L2 VM's state from memory.
pub(crate) fn load(vcpu: &mut Vcpu) {
    let Some(at) = vcpu.l2[vcpu.current - 1].enter_state else { return };
    for index in 0..16 {
        vcpu.gprs.0[index] = physical::read(at + index as u64 * 8);
    }
    let rsp = vcpu.gprs.0[RSP];
    let vmcs = &mut vcpu.vm_mut().vmcs;
    vmcs.vmcb.set_rsp(rsp);
    vmcs.vmcb.set_rflags(physical::read(at + RFLAGS));
    vmcs.vmcb.set_rip(physical::read(at + RIP));
    let status = physical::half(at + INTERRUPT_STATUS).load(Relaxed);
    vmcs.status = InterruptStatus::from_field(status);
}

/// Stores the current L2 VM's state to memory.
pub(crate) fn store(vcpu: &Vcpu) {
    let Some(at) = vcpu.l2[vcpu.current - 1].enter_state else { return };
    let vmcs = &vcpu.vm().vmcs;
    for index in 0..16 {
        let value = if index == RSP { vmcs.vmcb.rsp() } else { vcpu.gprs.0[index] };
        physical::write(at + index as u64 * 8, value);
    }
    physical::write(at + RFLAGS, vmcs.vmcb.rflags());
    physical::write(at + RIP, vmcs.vmcb.rip());
    physical::half(at + INTERRUPT_STATUS).store(vmcs.status.field(), Relaxed);
}
