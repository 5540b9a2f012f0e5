// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MR.RTMR.EXTEND` (leaf 2): extend a run-time measurement register.
//!
//! | in  |                              | out |     |
//! |-----|------------------------------|-----|-----|
//! | RCX | GPA of an [`RtmrExtension`]  |     |     |
//! | RDX | which register               |     |     |
//!
//! [`RtmrExtension`]: crate::td_report::RtmrExtension
//!
//! Spec: TDX-ABI, "TDG.MR.RTMR.EXTEND Leaf".

#![expect(unsafe_code, reason = "it uses the raw door")]

use super::busy;
use crate::{Leaf, Registers, Status, Tdcall};

/// Extends register `index` (0 to 3) by the 48 bytes at guest-physical address `extension`.
///
/// # Errors
///
/// [`Status::OPERAND_INVALID`] if the address is not private and aligned to 64 bytes, or there is
/// no such register.
pub fn mr_rtmr_extend(call: &impl Tdcall, extension: u64, index: u8) -> Result<(), Status> {
    let input = Registers {
        rax: Leaf::MR_RTMR_EXTEND.rax(),
        rcx: extension,
        rdx: u64::from(index),
        ..Registers::ZERO
    };
    // SAFETY: The leaf reads memory and writes nothing but measurement registers.
    let (status, _) = unsafe { busy::tdcall(call, input) };
    status.success()
}

#[cfg(test)]
mod tests {
    use super::mr_rtmr_extend;
    use crate::{OperandId, Registers, Status, fake::Fake};

    #[test]
    fn there_are_four_registers() {
        let third = Registers { rax: 2, rcx: 0x40, rdx: 3, ..Registers::ZERO };
        let fourth = Registers { rdx: 4, ..third };
        let refusal = Status::OPERAND_INVALID.with_operand(OperandId::RDX);
        let answer = Registers { rax: refusal.0, ..Registers::ZERO };
        let fake = Fake::new().tdcall(third, Registers::ZERO).tdcall(fourth, answer);
        assert_eq!(mr_rtmr_extend(&fake, 0x40, 3), Ok(()));
        assert_eq!(mr_rtmr_extend(&fake, 0x40, 4), Err(refusal));
    }
}
