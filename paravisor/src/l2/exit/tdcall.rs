// SPDX-License-Identifier: MIT OR Apache-2.0
//! TDCALL by L2, which sees no sign of TDX and so has no business with it.
//!
//! Ring 0 gets the module's own answer to a function that does not exist; ring 3 gets what it would
//! get on any processor. An offer of functions, for guests that know they are in a TD, can start
//! here.
//!
//! Spec: TDX-ABI "TDCALL Instruction".

use ::tdcall::{L2Exit, OperandId, Status};

use super::Next;
use crate::l2::vcpu::Vcpu;

/// Refuses the call.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Next {
    if report.cpl != 0 {
        return Next::GENERAL_PROTECTION;
    }
    vcpu.state().rax = Status::OPERAND_INVALID.with_operand(OperandId::RAX).0;
    Next::Skip
}
