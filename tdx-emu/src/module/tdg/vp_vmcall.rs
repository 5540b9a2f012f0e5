// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL` (leaf 0): call the host with the registers that RCX selects.
//!
//! Spec: TDX-ABI "TDG.VP.VMCALL Leaf".

use tdcall::status::{OperandId, Status};

use crate::{
    machine::cpus,
    module::{stop::Stop, td_exit::TdExit, vcpu::Vcpu},
    observe,
    svm::vmrun::RCX,
};

/// RAX, RCX and RSP can never be shown to the host.
const NEVER: u64 = 1 << 0 | 1 << 1 | 1 << 4;
const RBP: u64 = 1 << 5;
const NO_RBP_MOD: u64 = 1 << 2;

/// Leaves to the host, for L1 or for an L2 VM that L1 allows it.
pub(crate) fn handle(vcpu: &Vcpu) -> Result<Status, Stop> {
    let mask = vcpu.gprs.0[RCX];
    let no_rbp = vcpu.td.config()?.params.config_flags.0 & NO_RBP_MOD != 0;
    let forbidden = NEVER | if no_rbp { RBP } else { 0 };
    if mask >> 32 != 0 || mask & forbidden != 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX).into());
    }
    let subfunction = if vcpu.gprs.0[10] == 0 { vcpu.gprs.0[11] } else { u64::MAX };
    observe::tdvmcall(cpus::current(), subfunction, (vcpu.gprs.0[12], vcpu.gprs.0[13]));
    Err(Stop::TdExit(TdExit::tdvmcall(mask)))
}
