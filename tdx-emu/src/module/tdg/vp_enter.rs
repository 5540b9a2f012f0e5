// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.ENTER` (leaf 25): run an L2 VM on this virtual CPU.
//!
//! Spec: TDX-ABI "TDG.VP.ENTER Leaf"; TDX-TDP "L2 VM Entry".

use tdcall::status::{OperandId, Status};

use super::Completion;
use crate::{
    machine::cpus,
    module::{
        l2_state, posted_interrupt, stop::Stop, tdh_mem::SHARED_BIT, unsupported, vcpu::Vcpu,
        vmcs_fields,
    },
    observe, provoke,
    svm::{
        narrow::{index, low_8},
        vmrun::{RCX, RDX},
    },
};

/// Enters the L2 VM that RCX names with the state at RDX.
pub(super) fn handle(vcpu: &mut Vcpu) -> Result<Completion, Stop> {
    const STATE_ALIGNMENT: u64 = 256;
    const VM_SHIFT: u32 = 52;
    const TLB_ACTION: u64 = 3;
    let invalid = |operand| Status::OPERAND_INVALID.with_operand(operand);
    let (flags, state) = (vcpu.gprs.0[RCX], vcpu.gprs.0[RDX]);
    if !state.is_multiple_of(STATE_ALIGNMENT) || state >= SHARED_BIT {
        return Err(invalid(OperandId::RDX).into());
    }
    let vm = index(flags >> VM_SHIFT & 3);
    let reserved = flags & !(TLB_ACTION | 3 << VM_SHIFT);
    if vm == 0 || vm > vcpu.l2_vms() || reserved != 0 {
        return Err(invalid(OperandId::RCX).into());
    }
    if vcpu.l2[vm - 1].apic_gpa.is_none() {
        return Err(invalid(OperandId::L2_VAPIC_GPA).into());
    }
    if posted_interrupt::l1_has_deliverable(vcpu) {
        observe::vp_enter_refused(cpus::current());
        provoke::vp_enter(provoke::Refused::Yes);
        return Ok(Completion::Status(Status::PENDING_INTERRUPT));
    }
    let l2 = &mut vcpu.l2[vm - 1];
    if l2.enter_state_gpa != state {
        l2.enter_state_gpa = state;
        l2.enter_state = None;
    }
    let sept = vcpu.td.config()?.l1_sept;
    l2_state::locate(vcpu, sept, vm)?;
    if let Some(what) = vmcs_fields::fatal_controls(&vcpu.vms[vm].vmcs) {
        unsupported::stop(vcpu, format_args!("TDG.VP.ENTER with {what}"));
    }
    vcpu.switch_to(vm);
    l2_state::load(vcpu);
    provoke::vp_enter(provoke::Refused::No);
    observe::vp_enter(cpus::current(), low_8(vm as u64), vcpu.vm().vmcs.status.rvi);
    Ok(Completion::Entered)
}
