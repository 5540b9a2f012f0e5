// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.CPUIDVE.SET` (leaf 5): make every CPUID of a privilege level a #VE.
//!
//! Spec: TDX-ABI "TDG.VP.CPUIDVE.SET Leaf".

use tdcall::status::{OperandId, Status};

use crate::{
    module::{stop::Stop, vcpu::Vcpu},
    svm::{narrow::low_8, vmrun::RCX},
};

/// Sets both flags from RCX.
pub(super) fn handle(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    let flags = vcpu.gprs.0[RCX];
    if flags > 3 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX).into());
    }
    vcpu.cpuid_ve = low_8(flags);
    Ok(Status::SUCCESS)
}
