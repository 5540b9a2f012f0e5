// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2→L1 exit: the completion of L1's `TDG.VP.ENTER`.
//!
//! Spec: TDX-ABI "TDG.VP.ENTER", output operands.

use tdcall::status::Status;

use super::{l2_state, vcpu::Vcpu};
use crate::{
    machine::cpus,
    observe, provoke,
    svm::{
        exit::privilege_level,
        vmcb::Segment,
        vmrun::{RAX, RBX, RCX, RDI, RDX, RSI},
    },
};

/// Bytes of TDCALL.
pub(crate) const TDCALL_LENGTH: u64 = 4;

/// Ends the run of the current L2 VM towards L1 with `status`; the exit information is in the
/// VM's VMCS. `extended` is the extended exit qualification.
pub(crate) fn to_l1(vcpu: &mut Vcpu, status: Status, extended: u64) {
    l2_state::store(vcpu);
    provoke::l2_exit(vcpu.vm().vmcs.exit.reason, vcpu.gprs.0[RAX]);
    let vmcs = &mut vcpu.vms[vcpu.current].vmcs;
    let vmcb = vmcs.vmcb;
    let exit = vmcs.exit;
    let cs_rights = u64::from(vmcb.access_rights(Segment::Cs) & 0xffff);
    let rax = status.0 | u64::from(exit.reason.0);
    let g = &mut vcpu.gprs.0;
    g[RAX] = rax;
    g[RCX] = exit.qualification;
    g[RDX] = exit.gla;
    g[RBX] = 0;
    g[RSI] = u64::from(vmcb.selector(Segment::Cs))
        | cs_rights << 16
        | u64::from(vmcb.limit(Segment::Cs)) << 32;
    g[RDI] = vmcb.base(Segment::Cs);
    g[8] = exit.gpa;
    g[9] = u64::from(exit.interruption.into_bits()) | u64::from(exit.error_code) << 32;
    g[10] = u64::from(vmcs.idt_vectoring.into_bits()) | u64::from(vmcs.idt_vectoring_error) << 32;
    g[11] = exit.information | exit.length << 32;
    g[12] = privilege_level(vmcb);
    g[13] = extended;
    g[14] = 0;
    g[15] = 0;
    vcpu.switch_to(0);
    vcpu.vmcb().advance(TDCALL_LENGTH);
    observe::l2_exit(cpus::current(), rax);
}
