// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<Instruction.HLT>`: give the processor back until there is something to do.
//!
//! | in  |                              | out |     |
//! |-----|------------------------------|-----|-----|
//! | R12 | 1: interrupts are blocked    |     |     |
//!
//! An interrupt that arrives between the caller's last look for work and the call must wake it up:
//! so interrupts are off during that look, and `hlt` enables them by the instruction right before
//! the call, in whose shadow none is taken.
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<Instruction.HLT>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use super::{
    SubFunction, VmcallError,
    request::{ask, ask_with_interrupts, standard},
};
use crate::{GprMask, Registers, Tdcall};

/// Enables interrupts and waits for one. They are still enabled when it returns.
///
/// It may return early, so the caller looks for work again.
///
/// # Errors
///
/// Tells who refused.
pub fn hlt(call: &impl Tdcall) -> Result<(), VmcallError> {
    let input = standard(SubFunction::INSTRUCTION_HLT);
    // SAFETY: The sub-function writes nothing but registers; enabling interrupts is safe.
    unsafe { ask_with_interrupts(call, GprMask::R12, input) }.map(|_| ())
}

/// Waits for what comes even with interrupts blocked, an NMI for instance.
///
/// # Errors
///
/// Tells who refused.
pub fn hlt_blocked(call: &impl Tdcall) -> Result<(), VmcallError> {
    let input = Registers { r12: 1, ..standard(SubFunction::INSTRUCTION_HLT) };
    // SAFETY: The sub-function writes nothing but registers.
    unsafe { ask(call, GprMask::R12, input) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::{hlt, hlt_blocked};
    use crate::{Registers, fake::Fake};

    #[test]
    fn interrupts_are_enabled_unless_blocked() {
        let open = Registers { rcx: 0x1C00, r11: 12, ..Registers::ZERO };
        let blocked = Registers { r12: 1, ..open };
        let fake = Fake::new()
            .tdcall_with_interrupts(open, Registers::ZERO)
            .tdcall(blocked, Registers::ZERO);
        assert_eq!(hlt(&fake), Ok(()));
        assert_eq!(hlt_blocked(&fake), Ok(()));
    }
}
