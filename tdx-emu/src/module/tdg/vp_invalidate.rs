// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.INVEPT` (leaf 26) and `TDG.VP.INVGLA` (leaf 27): drop translations of L2 VMs.
//!
//! Under TCG every VMRUN drops all of them, so that only the operands are left to check. This
//! also means that a forgotten invalidation of L1 does not show here.
//!
//! Spec: TDX-ABI "TDG.VP.INVEPT Leaf", "TDG.VP.INVGLA Leaf".

use tdcall::status::{OperandId, Status};

use crate::{
    module::{
        operand::{self, Memory},
        stop::Stop,
        vcpu::Vcpu,
    },
    svm::{
        physical,
        vmrun::{RCX, RDX},
    },
};

/// Drops all translations of the VMs in RCX.
pub(super) fn invept(vcpu: &Vcpu) -> Result<Status, Stop> {
    let allowed = ((1 << vcpu.l2_vms()) - 1) << 1;
    if vcpu.gprs.0[RCX] & !allowed != 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX).into());
    }
    Ok(Status::SUCCESS)
}

/// Drops the translations of one range of linear addresses, or of a list of ranges.
pub(super) fn invgla(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    const VM_SHIFT: u32 = 52;
    let flags = vcpu.gprs.0[RCX];
    let vm = flags >> VM_SHIFT & 3;
    if vm == 0 || vm > vcpu.l2_vms() as u64 || flags & !(1 | 3 << VM_SHIFT) != 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX).into());
    }
    if flags & 1 == 0 {
        check(vcpu.gprs.0[RDX])?;
        return Ok(Status::SUCCESS);
    }
    let list = vcpu.gprs.0[RDX];
    let (first, count) = (list & 0x1ff, list >> 52 & 0x3ff);
    if list & 0xe00 != 0 || list >> 62 != 0 || first + count > 512 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RDX).into());
    }
    let gpa = list & 0x000f_ffff_ffff_f000;
    let at = operand::find(vcpu, gpa, 4096, Memory::Private, OperandId::RDX)?;
    for entry in first..first + count {
        check(physical::read(at + entry * 8))?;
    }
    vcpu.gprs.0[RDX] = gpa | (first + count) & 0x1ff;
    Ok(Status::SUCCESS)
}

fn check(entry: u64) -> Result<(), Status> {
    let base = entry & !0xfff;
    let canonical = base >> 47 == 0 || base >> 47 == 0x1_ffff;
    if canonical { Ok(()) } else { Err(Status::GLA_NOT_CANONICAL) }
}
