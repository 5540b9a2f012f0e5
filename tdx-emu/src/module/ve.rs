// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtualization exceptions (#VE) of L1.
//!
//! The information of one #VE is kept until L1 fetches it with `TDG.VP.VEINFO.GET`. A second one
//! before that becomes a double fault.
//!
//! Spec: TDX-BASE "Virtualization Exception (#VE)".

use super::vcpu::{Vcpu, VirtualizationException, exception};
use crate::svm::{exit::VmxExit, narrow::low_32, vmcb::rflags};

/// Raises #VE in L1, or #DF if the last one was not fetched yet.
pub(crate) fn raise(vcpu: &mut Vcpu, information: VirtualizationException) {
    let vmcb = vcpu.vmcb();
    vmcb.set_rflags(vmcb.rflags() | rflags::RF);
    if vcpu.ve.is_some() {
        vcpu.inject_exception_with_error(exception::DF);
    } else {
        vcpu.ve = Some(information);
        vcpu.inject_exception(exception::VE);
    }
}

/// The #VE for an instruction that exited.
pub(crate) fn of_instruction(exit: &VmxExit) -> VirtualizationException {
    VirtualizationException {
        reason: exit.reason,
        qualification: exit.qualification,
        gla: 0,
        gpa: 0,
        length: low_32(exit.length),
        information: 0,
    }
}

/// The #VE for an EPT violation.
pub(crate) fn of_ept_violation(exit: &VmxExit) -> VirtualizationException {
    VirtualizationException { gla: exit.gla, gpa: exit.gpa, ..of_instruction(exit) }
}
