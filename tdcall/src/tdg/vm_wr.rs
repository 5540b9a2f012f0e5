// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VM.WR` (leaf 8): write a field of the TD.
//!
//! | in  |                      | out |                    |
//! |-----|----------------------|-----|--------------------|
//! | RCX | zero                 |     |                    |
//! | RDX | field id             |     |                    |
//! | R8  | new value            | R8  | old value          |
//! | R9  | which bits to change |     |                    |
//!
//! The fields are in [`md::tdcs`](crate::md::tdcs). A bit that
//! is to be changed but cannot be must have the value it has already.
//!
//! Spec: TDX-ABI, "TDG.VM.WR Leaf".

#![expect(unsafe_code, reason = "it changes which exceptions there are")]

use super::busy;
use crate::{Leaf, Registers, Status, Tdcall, md::FieldId};

/// Changes the bits in `mask` of `field` of the TD and returns the old value.
///
/// # Errors
///
/// A status of the class [`Class::METADATA`](crate::Class::METADATA) if there is no such field, it
/// cannot be written, or the value is not valid.
///
/// # Safety
///
/// The caller is ready for what the field changes, #VE in places where there was none included.
pub unsafe fn vm_wr(
    call: &impl Tdcall,
    field: FieldId,
    value: u64,
    mask: u64,
) -> Result<u64, Status> {
    let input = Registers {
        rax: Leaf::VM_WR.rax(),
        rdx: field.into_bits(),
        r8: value,
        r9: mask,
        ..Registers::ZERO
    };
    // SAFETY: The caller knows what the field does.
    let (status, r) = unsafe { busy::tdcall(call, input) };
    status.success()?;
    Ok(r.r8)
}

#[cfg(test)]
mod tests {
    use super::vm_wr;
    use crate::{Registers, Status, fake::Fake, md::tdcs};

    #[test]
    fn value_and_mask_go_in_and_the_old_value_comes_out() {
        let asked =
            Registers { rax: 8, rdx: 0x1110_0003_0000_0017, r8: 1, r9: 3, ..Registers::ZERO };
        let answer = Registers { r8: 2, ..Registers::ZERO };
        let refusal =
            Registers { rax: Status::METADATA_FIELD_VALUE_NOT_VALID.0, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, answer).tdcall(asked, refusal);
        // SAFETY: The fake touches no memory.
        let written = unsafe { vm_wr(&fake, tdcs::TD_CTLS, 1, 3) };
        assert_eq!(written, Ok(2));
        // SAFETY: The fake touches no memory.
        let refused = unsafe { vm_wr(&fake, tdcs::TD_CTLS, 1, 3) };
        assert_eq!(refused, Err(Status::METADATA_FIELD_VALUE_NOT_VALID));
    }
}
