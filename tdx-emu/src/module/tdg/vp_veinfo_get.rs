// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VEINFO.GET` (leaf 3): fetch the information of the last #VE and make room for the next.
//!
//! Spec: TDX-ABI "TDG.VP.VEINFO.GET Leaf".

use tdcall::status::Status;

use crate::{
    module::{stop::Stop, vcpu::Vcpu},
    svm::vmrun::{RCX, RDX},
};

/// Returns the information; all zeros with `NO_VALID_VE_INFO` if there is none.
pub(super) fn handle(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    let taken = vcpu.ve.take();
    let ve = taken.unwrap_or_default();
    let g = &mut vcpu.gprs.0;
    g[RCX] = u64::from(ve.reason.0);
    g[RDX] = ve.qualification;
    g[8] = ve.gla;
    g[9] = ve.gpa;
    g[10] = u64::from(ve.length) | u64::from(ve.information) << 32;
    Ok(if taken.is_some() { Status::SUCCESS } else { Status::NO_VALID_VE_INFO })
}
