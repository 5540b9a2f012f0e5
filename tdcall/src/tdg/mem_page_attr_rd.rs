// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MEM.PAGE.ATTR.RD` (leaf 23): read what each VM may do with a page.
//!
//! | in  |                        | out |                                  |
//! |-----|------------------------|-----|----------------------------------|
//! | RCX | guest-physical address | RCX | page, its level, pending or not  |
//! |     |                        | RDX | rights, 16 bits a VM             |
//!
//! Spec: TDX-ABI, "TDG.MEM.PAGE.ATTR.RD Leaf".

#![expect(unsafe_code, reason = "it uses the raw door")]

use super::busy;
use crate::{Leaf, LeveledGpa, Registers, Status, Tdcall, gpa_attributes::PerVm};

/// A page and the rights to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageAttributes {
    /// The page that contains the address.
    pub page: LeveledGpa,
    /// The rights of each VM.
    pub attributes: PerVm,
}

impl PageAttributes {
    /// Takes RCX and RDX apart.
    #[must_use]
    pub const fn from_registers(r: &Registers) -> Self {
        Self { page: LeveledGpa::from_bits(r.rcx), attributes: PerVm(r.rdx) }
    }
}

/// Reads what each VM may do with the page at `gpa`.
///
/// # Errors
///
/// [`Status::OPERAND_INVALID`] if `gpa` is not a private address.
pub fn mem_page_attr_rd(call: &impl Tdcall, gpa: u64) -> Result<PageAttributes, Status> {
    let input = Registers { rax: Leaf::MEM_PAGE_ATTR_RD.rax(), rcx: gpa, ..Registers::ZERO };
    // SAFETY: The leaf writes nothing but registers.
    let (status, r) = unsafe { busy::tdcall(call, input) };
    status.success()?;
    Ok(PageAttributes::from_registers(&r))
}

#[cfg(test)]
mod tests {
    use super::mem_page_attr_rd;
    use crate::{GpaAttributes, PageLevel, Registers, Status, fake::Fake};

    #[test]
    fn a_pending_large_page_that_vm_1_may_read() {
        let asked = Registers { rax: 23, rcx: 0x20_1234, ..Registers::ZERO };
        let answer =
            Registers { rcx: 1 << 62 | 0x20_0001, rdx: 0x0000_0000_8001_0000, ..Registers::ZERO };
        let read = mem_page_attr_rd(&Fake::new().tdcall(asked, answer), 0x20_1234).expect("read");
        assert_eq!((read.page.gpa(), read.page.level()), (0x20_0000, PageLevel::SIZE_2M));
        assert!(read.page.pending());
        assert_eq!(read.attributes.attributes(1), GpaAttributes::VALID | GpaAttributes::R);
        assert_eq!(read.attributes.attributes(2), GpaAttributes::empty());
    }

    #[test]
    fn an_error_has_no_page() {
        let asked = Registers { rax: 23, rcx: 1 << 47, ..Registers::ZERO };
        let answer = Registers { rax: Status::OPERAND_INVALID.0 | 1, ..Registers::ZERO };
        let error = mem_page_attr_rd(&Fake::new().tdcall(asked, answer), 1 << 47);
        assert!(error.is_err_and(|status| status.is(Status::OPERAND_INVALID)));
    }
}
