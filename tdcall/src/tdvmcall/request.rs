// SPDX-License-Identifier: MIT OR Apache-2.0
//! The common part of all sub-functions: R10 and R11, and whom to blame.
//!
//! Spec: GHCI, "TDG.VP.VMCALL Interface".

#![expect(unsafe_code, reason = "it calls whatever sub-function its caller chose")]

use core::fmt;

use super::{SubFunction, VmcallStatus};
use crate::{GprMask, Registers, Status, Tdcall, tdg::vp_vmcall};

/// Why a call to the host failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmcallError {
    /// The host refused, or pretends not to be able to.
    Host(VmcallStatus),
    /// The module did not pass the call on.
    Module(Status),
}

impl core::error::Error for VmcallError {}

impl fmt::Display for VmcallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(status) => write!(f, "the host answered {status}"),
            Self::Module(status) => write!(f, "the module answered {status}"),
        }
    }
}

/// What every standard call shows to the host.
pub(super) const STANDARD: GprMask = GprMask::R10.union(GprMask::R11);

/// Returns the registers of a call of `function`: R10 is zero, R11 tells which.
pub(super) const fn standard(function: SubFunction) -> Registers {
    Registers { r10: 0, r11: function.0, ..Registers::ZERO }
}

/// Asks the host, showing it R10, R11 and `arguments`, and returns all registers.
///
/// # Safety
///
/// As for [`vp_vmcall::vp_vmcall`].
pub(super) unsafe fn ask(
    call: &impl Tdcall,
    arguments: GprMask,
    mut r: Registers,
) -> Result<Registers, VmcallError> {
    // SAFETY: The caller knows what the sub-function does.
    let passed = unsafe { vp_vmcall(call, STANDARD | arguments, &mut r) };
    answer(passed, r)
}

/// As [`ask`], with interrupts enabled from the call on.
///
/// # Safety
///
/// As for [`ask`].
pub(super) unsafe fn ask_with_interrupts(
    call: &impl Tdcall,
    arguments: GprMask,
    mut r: Registers,
) -> Result<Registers, VmcallError> {
    let exposed = STANDARD | arguments;
    // SAFETY: The caller knows what the sub-function does.
    let passed = unsafe { vp_vmcall::vp_vmcall_with_interrupts(call, exposed, &mut r) };
    answer(passed, r)
}

/// Tells apart who refused.
fn answer(passed: Result<(), Status>, r: Registers) -> Result<Registers, VmcallError> {
    passed.map_err(VmcallError::Module)?;
    VmcallStatus(r.r10).into_result().map_err(VmcallError::Host)?;
    Ok(r)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::{VmcallError, ask, standard};
    use crate::{
        GprMask, OperandId, Registers, Status,
        fake::Fake,
        tdvmcall::{SubFunction, VmcallStatus},
    };

    #[test]
    fn blame_is_told_apart() {
        let asked = Registers { rcx: 0x1C00, r11: 31, r12: 0x10, ..Registers::ZERO };
        let module = Status::OPERAND_INVALID.with_operand(OperandId::RCX);
        let host = Registers { r10: 1 << 63, ..Registers::ZERO };
        let fake = Fake::new()
            .tdcall(asked, Registers { rax: module.0, r10: 1 << 63, ..Registers::ZERO })
            .tdcall(asked, host);
        let input = Registers { r12: 0x10, ..standard(SubFunction::INSTRUCTION_RDMSR) };
        // SAFETY: The fake touches no memory.
        let first = unsafe { ask(&fake, GprMask::R12, input) };
        // SAFETY: The fake touches no memory.
        let second = unsafe { ask(&fake, GprMask::R12, input) };
        assert_eq!(first, Err(VmcallError::Module(module)));
        let refusal = VmcallError::Host(VmcallStatus::INVALID_OPERAND);
        assert_eq!(second, Err(refusal));
        assert_eq!(refusal.to_string(), "the host answered INVALID_OPERAND");
    }
}
