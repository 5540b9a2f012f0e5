// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MR.RTMR.EXTEND` (leaf 2): extend a run-time measurement by 48 bytes.
//!
//! Spec: TDX-ABI "TDG.MR.RTMR.EXTEND Leaf".

use tdcall::status::{OperandId, Status};

use crate::{
    module::{
        operand::{self, Memory},
        stop::Stop,
        vcpu::Vcpu,
    },
    svm::{
        narrow, physical,
        vmrun::{RCX, RDX},
    },
};

/// Extends RTMR[RDX] with the value at RCX.
pub(super) fn handle(vcpu: &Vcpu) -> Result<Status, Stop> {
    const ALIGNMENT: u64 = 64;
    let gpa = vcpu.gprs.0[RCX];
    let at = operand::find(vcpu, gpa, ALIGNMENT, Memory::Private, OperandId::RCX)?;
    let index = vcpu.gprs.0[RDX];
    if index > 3 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RDX).into());
    }
    let mut value = [0; 48];
    physical::read_bytes(at, &mut value);
    vcpu.td.measurement.lock().extend_rtmr(narrow::index(index), &value);
    Ok(Status::SUCCESS)
}
