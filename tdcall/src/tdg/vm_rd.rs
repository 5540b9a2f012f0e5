// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VM.RD` (leaf 7): read a field of the TD.
//!
//! | in  |          | out |                |
//! |-----|----------|-----|----------------|
//! | RCX | zero     |     |                |
//! | RDX | field id | R8  | value          |
//!
//! The fields are in [`md::tdcs`](crate::md::tdcs).
//!
//! Spec: TDX-ABI, "TDG.VM.RD Leaf".

#![expect(unsafe_code, reason = "it uses the raw door")]

use super::busy;
use crate::{Leaf, Registers, Status, Tdcall, md::FieldId};

/// Reads `field` of the TD.
///
/// # Errors
///
/// A status of the class [`Class::METADATA`](crate::Class::METADATA) if there is no such field or
/// it cannot be read.
pub fn vm_rd(call: &impl Tdcall, field: FieldId) -> Result<u64, Status> {
    let input = Registers { rax: Leaf::VM_RD.rax(), rdx: field.into_bits(), ..Registers::ZERO };
    // SAFETY: The leaf writes nothing but registers.
    let (status, r) = unsafe { busy::tdcall(call, input) };
    status.success()?;
    Ok(r.r8)
}

#[cfg(test)]
mod tests {
    use super::vm_rd;
    use crate::{Registers, Status, fake::Fake, md::tdcs};

    #[test]
    fn the_value_comes_in_r8() {
        let asked = Registers { rax: 7, rdx: 0x9010_0001_0000_0005, ..Registers::ZERO };
        let answer = Registers { rdx: u64::MAX, r8: 2, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, answer);
        assert_eq!(vm_rd(&fake, tdcs::NUM_L2_VMS), Ok(2));
    }

    #[test]
    fn a_value_that_comes_with_an_error_is_none() {
        let asked = Registers { rax: 7, rdx: 0x9010_0001_0000_0005, ..Registers::ZERO };
        let answer =
            Registers { rax: Status::METADATA_FIELD_NOT_READABLE.0, r8: 2, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, answer);
        assert_eq!(vm_rd(&fake, tdcs::NUM_L2_VMS), Err(Status::METADATA_FIELD_NOT_READABLE));
    }
}
