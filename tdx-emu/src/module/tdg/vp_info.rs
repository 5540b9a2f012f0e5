// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.INFO` (leaf 1): what the TD and this virtual CPU are.
//!
//! Spec: TDX-ABI "TDG.VP.INFO Leaf".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::status::Status;

use crate::{
    module::{stop::Stop, vcpu::Vcpu},
    svm::vmrun::{RCX, RDX},
};

/// Returns GPAW, attributes, number of virtual CPUs and the index of this one.
pub(super) fn handle(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    const SYS_RD_AVAILABLE: u64 = 1;
    let params = &vcpu.td.config()?.params;
    let vcpus = u64::from(vcpu.td.vcpus.load(SeqCst));
    let (attributes, max) = (params.attributes.0, u64::from(params.max_vcpus));
    let index = u64::from(vcpu.index);
    let g = &mut vcpu.gprs.0;
    g[RCX] = 48;
    g[RDX] = attributes;
    g[8] = vcpus | max << 32;
    g[9] = index;
    g[10] = SYS_RD_AVAILABLE;
    g[11] = 0;
    Ok(Status::SUCCESS)
}
