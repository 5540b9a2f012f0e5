// SPDX-License-Identifier: MIT OR Apache-2.0
//! `SetupEventNotifyInterrupt`: R12 = vector that this virtual CPU gets when something that the TD
//! waits for is done. A later call of the same virtual CPU replaces an earlier one.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<SetupEventNotifyInterrupt>`".

use tdcall::{Registers, tdvmcall::VmcallStatus};

use crate::host::{td::Td, vcpu::Vcpu};

pub(super) fn answer(td: &Td, vcpu: &Vcpu, registers: &Registers) -> VmcallStatus {
    let vector = u8::try_from(registers.r12).ok().filter(|vector| *vector >= 32);
    let Some(vector) = vector else { return VmcallStatus::INVALID_OPERAND };
    td.quoting.notify_by(vcpu.index, vector)
}
