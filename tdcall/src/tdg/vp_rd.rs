// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.RD` (leaf 9): read a field of this virtual CPU.
//!
//! | in  |          | out |                |
//! |-----|----------|-----|----------------|
//! | RCX | zero     |     |                |
//! | RDX | field id | R8  | value          |
//!
//! The fields are in [`md::tdvps`](crate::md::tdvps) and
//! [`md::l2_vmcs`](crate::md::l2_vmcs).
//!
//! Spec: TDX-ABI, "TDG.VP.RD Leaf".

#![expect(unsafe_code, reason = "it uses the raw door")]

use super::busy;
use crate::{Leaf, Registers, Status, Tdcall, md::FieldId};

/// Reads `field` of this virtual CPU.
///
/// # Errors
///
/// A status of the class [`Class::METADATA`](crate::Class::METADATA) if there is no such field or
/// it cannot be read.
pub fn vp_rd(call: &impl Tdcall, field: FieldId) -> Result<u64, Status> {
    let input = Registers { rax: Leaf::VP_RD.rax(), rdx: field.into_bits(), ..Registers::ZERO };
    // SAFETY: The leaf writes nothing but registers.
    let (status, r) = unsafe { busy::tdcall(call, input) };
    status.success()?;
    Ok(r.r8)
}

#[cfg(test)]
mod tests {
    use super::vp_rd;
    use crate::{Registers, Status, fake::Fake, md::tdvps};

    #[test]
    fn the_value_comes_in_r8() {
        let asked = Registers { rax: 9, rdx: 0xA020_0002_0000_0002, ..Registers::ZERO };
        let answer = Registers { rdx: u64::MAX, r8: 2, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, answer);
        assert_eq!(vp_rd(&fake, tdvps::VCPU_INDEX), Ok(2));
    }

    #[test]
    fn a_value_that_comes_with_an_error_is_none() {
        let asked = Registers { rax: 9, rdx: 0xA020_0002_0000_0002, ..Registers::ZERO };
        let answer =
            Registers { rax: Status::METADATA_FIELD_NOT_READABLE.0, r8: 2, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, answer);
        assert_eq!(vp_rd(&fake, tdvps::VCPU_INDEX), Err(Status::METADATA_FIELD_NOT_READABLE));
    }
}
