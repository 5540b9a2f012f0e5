// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MEM.PAGE.ATTR.WR` (leaf 24): set what each L2 VM may do with a page.
//!
//! | in  |                                       | out |                         |
//! |-----|---------------------------------------|-----|-------------------------|
//! | RCX | page, 4 KiB to 1 GiB                  | RCX | page, pending or not    |
//! | RDX | rights, 16 bits a VM, with VALID      | RDX | rights as they are now  |
//! | R8  | which of them change, and DO_INVEPT   |     |                         |
//!
//! Taking rights away does not take them out of the translation caches: DO_INVEPT reaches this
//! virtual CPU only, all others need `TDG.VP.INVEPT` or an invalidating entry of their own.
//!
//! Spec: TDX-ABI, "TDG.MEM.PAGE.ATTR.WR Leaf".

#![expect(unsafe_code, reason = "it gives memory to code that is not ours")]

use super::{busy, mem_page_attr_rd::PageAttributes};
use crate::{Leaf, LeveledGpa, Registers, Status, Tdcall, gpa_attributes::PerVm};

/// Changes the rights to `page` and returns them as they are afterwards.
///
/// # Errors
///
/// [`Status::PAGE_SIZE_MISMATCH`] if the host maps the range by smaller pages,
/// [`Status::PAGE_ATTR_INVALID`] if the rights do not go together, [`Status::L2_SEPT_WALK_FAILED`]
/// if the host gave the L2 VM no tables there.
///
/// # Safety
///
/// For every VM that gets a right: the VM may read, change or run the page at any time from now on,
/// and no Rust reference to it exists or will exist while that lasts.
pub unsafe fn mem_page_attr_wr(
    call: &impl Tdcall,
    page: LeveledGpa,
    attributes: PerVm,
    change: PerVm,
) -> Result<PageAttributes, Status> {
    let input = Registers {
        rax: Leaf::MEM_PAGE_ATTR_WR.rax(),
        rcx: page.into_bits(),
        rdx: attributes.0,
        r8: change.0,
        ..Registers::ZERO
    };
    // SAFETY: The caller shares the page with whom it gives rights to.
    let (status, r) = unsafe { busy::tdcall(call, input) };
    status.success()?;
    Ok(PageAttributes::from_registers(&r))
}

#[cfg(test)]
mod tests {
    use super::mem_page_attr_wr;
    use crate::{
        GpaAttributes, GpaAttributesChange, LeveledGpa, PageLevel, Registers, Status, fake::Fake,
        gpa_attributes::PerVm,
    };

    #[test]
    fn vm_1_gets_a_page() {
        let asked = Registers {
            rax: 24,
            rcx: 0x40_0001,
            rdx: 0x800F_0000,
            r8: 0x800F_0000,
            ..Registers::ZERO
        };
        let answer = Registers { rcx: 0x40_0001, rdx: 0x800F_0000, ..Registers::ZERO };
        let refusal = Registers { rax: Status::PAGE_ATTR_INVALID.0, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, answer).tdcall(asked, refusal);
        let page = LeveledGpa::of(0x40_0000, PageLevel::SIZE_2M).expect("aligned");
        let rights = PerVm::default().with_attributes(1, GpaAttributes::RWX | GpaAttributes::VALID);
        let change = GpaAttributesChange::RWX | GpaAttributesChange::DO_INVEPT;
        let change = PerVm::default().with_change(1, change);
        // SAFETY: The fake touches no memory.
        let written = unsafe { mem_page_attr_wr(&fake, page, rights, change) }.expect("written");
        assert_eq!(written.attributes, rights);
        // SAFETY: The fake touches no memory.
        let refused = unsafe { mem_page_attr_wr(&fake, page, rights, change) };
        assert_eq!(refused, Err(Status::PAGE_ATTR_INVALID));
    }
}
