// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VM.RD` (7), `TDG.VM.WR` (8), `TDG.VP.RD` (9), `TDG.VP.WR` (10), `TDG.SYS.RD` (11): the
//! registers around `metadata`, which knows the fields.
//!
//! The id of the next field, which version 1 of the readers gives, is always "none": iterating
//! over the fields is not emulated.
//!
//! Spec: TDX-ABI "TDG.VM.RD Leaf", "TDG.VM.WR Leaf", "TDG.VP.RD Leaf", "TDG.VP.WR Leaf",
//! "TDG.SYS.RD Leaf".

use tdcall::{md::FieldId, status::Status};

use crate::{
    module::{metadata, stop::Stop, vcpu::Vcpu, vmcs_fields::check_rcx},
    svm::vmrun::{RAX, RCX, RDX},
};

fn field(vcpu: &Vcpu) -> Result<FieldId, Status> {
    let id = FieldId::from_bits(vcpu.gprs.0[RDX]);
    if id.is_single_element() { Ok(id) } else { Err(Status::METADATA_FIELD_ID_INCORRECT) }
}

/// Puts the result of a read or write into R8, 0 on error.
fn finish(vcpu: &mut Vcpu, result: Result<u64, Status>) -> Result<Status, Stop> {
    vcpu.gprs.0[8] = result.unwrap_or(0);
    result?;
    Ok(Status::SUCCESS)
}

/// Reads a field of the TD.
pub(super) fn vm_rd(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    const VERSION_1: u64 = 1 << 16;
    let next_wanted = vcpu.gprs.0[RAX] & VERSION_1 != 0;
    let result = check_rcx(vcpu.gprs.0[RCX])
        .and_then(|()| field(vcpu))
        .and_then(|id| metadata::read_td(vcpu, id));
    if next_wanted {
        vcpu.gprs.0[RDX] = FieldId::NULL.into_bits();
    }
    finish(vcpu, result)
}

/// Writes a field of the TD.
pub(super) fn vm_wr(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    let (value, mask) = (vcpu.gprs.0[8], vcpu.gprs.0[9]);
    let result = check_rcx(vcpu.gprs.0[RCX])
        .and_then(|()| field(vcpu))
        .and_then(|id| metadata::write_td(vcpu, id, value, mask));
    finish(vcpu, result)
}

/// Reads a field of this virtual CPU.
pub(super) fn vp_rd(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    let result = check_rcx(vcpu.gprs.0[RCX])
        .and_then(|()| field(vcpu))
        .and_then(|id| metadata::read_vp(vcpu, id));
    vcpu.gprs.0[RDX] = FieldId::NULL.into_bits();
    finish(vcpu, result)
}

/// Writes a field of this virtual CPU.
pub(super) fn vp_wr(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    let (value, mask) = (vcpu.gprs.0[8], vcpu.gprs.0[9]);
    let result = check_rcx(vcpu.gprs.0[RCX])
        .and_then(|()| field(vcpu))
        .and_then(|id| metadata::write_vp(vcpu, id, value, mask));
    finish(vcpu, result)
}

/// Reads a field of the module.
pub(super) fn sys_rd(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    let result = field(vcpu).and_then(metadata::read_sys);
    vcpu.gprs.0[RDX] = FieldId::NULL.into_bits();
    finish(vcpu, result)
}
