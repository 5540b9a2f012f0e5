// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.SYS.RD` (leaf 11): read a field of the module.
//!
//! | in  |          | out |                |
//! |-----|----------|-----|----------------|
//! | RDX | field id | R8  | value          |
//!
//! The fields are in [`md::sys`](crate::md::sys).
//!
//! Spec: TDX-ABI, "TDG.SYS.RD Leaf".

#![expect(unsafe_code, reason = "it uses the raw door")]

use super::busy;
use crate::{Leaf, Registers, Status, Tdcall, md::FieldId};

/// Reads `field` of the module.
///
/// # Errors
///
/// A status of the class [`Class::METADATA`](crate::Class::METADATA) if there is no such field or
/// it cannot be read.
pub fn sys_rd(call: &impl Tdcall, field: FieldId) -> Result<u64, Status> {
    let input = Registers { rax: Leaf::SYS_RD.rax(), rdx: field.into_bits(), ..Registers::ZERO };
    // SAFETY: The leaf writes nothing but registers.
    let (status, r) = unsafe { busy::tdcall(call, input) };
    status.success()?;
    Ok(r.r8)
}

#[cfg(test)]
mod tests {
    use super::sys_rd;
    use crate::{Registers, Status, fake::Fake, md::sys};

    #[test]
    fn the_value_comes_in_r8() {
        let asked = Registers { rax: 11, rdx: 0x0A00_0003_0000_0008, ..Registers::ZERO };
        let answer = Registers { rdx: u64::MAX, r8: 2, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, answer);
        assert_eq!(sys_rd(&fake, sys::TDX_FEATURES0), Ok(2));
    }

    #[test]
    fn a_value_that_comes_with_an_error_is_none() {
        let asked = Registers { rax: 11, rdx: 0x0A00_0003_0000_0008, ..Registers::ZERO };
        let answer =
            Registers { rax: Status::METADATA_FIELD_NOT_READABLE.0, r8: 2, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, answer);
        assert_eq!(sys_rd(&fake, sys::TDX_FEATURES0), Err(Status::METADATA_FIELD_NOT_READABLE));
    }
}
