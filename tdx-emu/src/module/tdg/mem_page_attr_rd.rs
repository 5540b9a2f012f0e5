// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MEM.PAGE.ATTR.RD` (leaf 23): what the L2 VMs may do with a page.
//!
//! Spec: TDX-ABI "TDG.MEM.PAGE.ATTR.RD Leaf".

use tdcall::{
    gpa_attributes::PerVm,
    status::{OperandId, Status},
};

use crate::{
    module::{sept::State, stop::Stop, td_exit::TdExit, tdh_mem::SHARED_BIT, vcpu::Vcpu},
    svm::{
        npt,
        vmrun::{RCX, RDX},
    },
};

/// Bit of the mapping information: the page is pending.
pub(super) const PENDING: u64 = 1 << 62;

/// Returns mapping information and attributes of the page at RCX.
pub(super) fn handle(vcpu: &mut Vcpu) -> Result<Status, Stop> {
    let gpa = vcpu.gprs.0[RCX];
    if gpa >= SHARED_BIT {
        vcpu.gprs.0[RCX] = 0;
        vcpu.gprs.0[RDX] = 0;
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX).into());
    }
    let config = vcpu.td.config()?;
    let found = config.l1_sept.find(gpa, 0);
    let pending = match found.entry.state() {
        State::Mapped => 0,
        State::Pending => PENDING,
        _ => return Err(TdExit::ept_violation(gpa, 0).into()),
    };
    let mut words = PerVm::default();
    for (vm, sept) in (1..).zip(config.l2_sept.into_iter().flatten()) {
        let alias = sept.find(gpa, found.level);
        if matches!(alias.entry.state(), State::Mapped | State::Blocked) {
            words = words.with_attributes(vm, alias.entry.attributes());
        }
    }
    vcpu.gprs.0[RCX] = gpa & !(npt::span(found.level) - 1) | u64::from(found.level) | pending;
    vcpu.gprs.0[RDX] = words.0;
    Ok(Status::SUCCESS)
}
