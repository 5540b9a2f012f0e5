// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<Instruction.WRMSR>`: write an MSR that the host emulates.
//!
//! | in  |       | out |     |
//! |-----|-------|-----|-----|
//! | R12 | index |     |     |
//! | R13 | value |     |     |
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<Instruction.WRMSR>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use super::{
    SubFunction, VmcallError,
    request::{ask, standard},
};
use crate::{GprMask, Registers, Tdcall};

/// Asks the host to write `value` to MSR `index`.
///
/// # Errors
///
/// Tells who refused; the host does so for an MSR that it does not have.
pub fn wrmsr(call: &impl Tdcall, index: u32, value: u64) -> Result<(), VmcallError> {
    let r12 = u64::from(index);
    let input = Registers { r12, r13: value, ..standard(SubFunction::INSTRUCTION_WRMSR) };
    // SAFETY: The host changes its own emulation; of the TD it reaches shared memory only.
    unsafe { ask(call, GprMask::R12 | GprMask::R13, input) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::wrmsr;
    use crate::{
        Registers,
        fake::Fake,
        tdvmcall::{VmcallError, VmcallStatus},
    };

    #[test]
    fn index_and_value_go_in() {
        let asked = Registers { rcx: 0x3C00, r11: 32, r12: 0x6E0, r13: 99, ..Registers::ZERO };
        let refusal = Registers { r10: 1 << 63, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, Registers::ZERO).tdcall(asked, refusal);
        assert_eq!(wrmsr(&fake, 0x6E0, 99), Ok(()));
        let error = VmcallError::Host(VmcallStatus::INVALID_OPERAND);
        assert_eq!(wrmsr(&fake, 0x6E0, 99), Err(error));
    }
}
