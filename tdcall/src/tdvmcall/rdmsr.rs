// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<Instruction.RDMSR>`: read an MSR that the host emulates.
//!
//! | in  |       | out |       |
//! |-----|-------|-----|-------|
//! | R12 | index | R11 | value |
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<Instruction.RDMSR>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use super::{
    SubFunction, VmcallError,
    request::{ask, standard},
};
use crate::{GprMask, Registers, Tdcall};

/// Returns what the host says that MSR `index` holds.
///
/// # Errors
///
/// Tells who refused; the host does so for an MSR that it does not have.
pub fn rdmsr(call: &impl Tdcall, index: u32) -> Result<u64, VmcallError> {
    let r12 = u64::from(index);
    let input = Registers { r12, ..standard(SubFunction::INSTRUCTION_RDMSR) };
    // SAFETY: The sub-function writes nothing but registers.
    unsafe { ask(call, GprMask::R12, input) }.map(|r| r.r11)
}

#[cfg(test)]
mod tests {
    use super::rdmsr;
    use crate::{Registers, fake::Fake};

    #[test]
    fn the_value_comes_in_r11() {
        let asked = Registers { rcx: 0x1C00, r11: 31, r12: 0x1B, ..Registers::ZERO };
        let answer = Registers { r11: 0xFEE0_0D00, ..Registers::ZERO };
        assert_eq!(rdmsr(&Fake::new().tdcall(asked, answer), 0x1B), Ok(0xFEE0_0D00));
        let refusal = Registers { r10: 1 << 63, r11: 5, ..Registers::ZERO };
        assert!(rdmsr(&Fake::new().tdcall(asked, refusal), 0x1B).is_err());
    }
}
