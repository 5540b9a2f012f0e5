// SPDX-License-Identifier: MIT OR Apache-2.0
//! Giving part of the TD's memory to an L2 VM, and taking it back.
//!
//! An alias has the size of L1's own page, so 2 MiB where that is so, else 4 KiB.
//!
//! Spec: TDX-ABI "TDG.MEM.PAGE.ATTR.WR Leaf".
#![expect(unsafe_code, reason = "it gives memory to code that is not ours")]

use core::ops::Range;

use tdcall::{
    GpaAttributes, GpaAttributesChange, Instruction, LeveledGpa, PageLevel, Status, VmIndex,
    gpa_attributes::PerVm, tdg,
};

/// What a VM may do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Read it, write it and run it.
    All,
    /// Read it.
    Read,
    /// Nothing: it does not have it. What the processor remembers of it has to be dropped by whoever
    /// enters the VM again.
    Nothing,
}

/// Lets `vm` do as `rights` say with everything in `range`, which is made of whole pages. Returns the
/// page at which it was refused.
///
/// # Safety
///
/// As long as the VM may write the range, no Rust reference to memory in it exists, and no mutable one as long as the
/// VM may read it.
pub(crate) unsafe fn give(
    vm: VmIndex,
    range: Range<u64>,
    rights: Rights,
) -> Result<(), (u64, Status)> {
    let mut gpa = range.start;
    // Below this address the pages are known to be small.
    let mut small_below = gpa;
    let (small, large) = (PageLevel::SIZE_4K, PageLevel::SIZE_2M);
    while gpa < range.end {
        let is_large = gpa.is_multiple_of(large.size())
            && gpa >= small_below
            && range.end - gpa >= large.size();
        let level = if is_large { large } else { small };
        // SAFETY: The page is part of the range.
        match unsafe { give_page(vm, gpa, level, rights) } {
            Ok(()) => gpa += level.size(),
            Err(status) if is_large && status.is(Status::PAGE_SIZE_MISMATCH) => {
                small_below = gpa + large.size();
            }
            Err(status) => return Err((gpa, status)),
        }
    }
    Ok(())
}

/// Lets `vm` do as `rights` say with one page.
///
/// # Safety
///
/// As for [`give`].
pub(crate) unsafe fn give_page(
    vm: VmIndex,
    gpa: u64,
    level: PageLevel,
    rights: Rights,
) -> Result<(), Status> {
    let page = LeveledGpa::of(gpa, level).ok_or(Status::OPERAND_INVALID)?;
    let attributes = PerVm::default().with_attributes(vm.get(), rights.attributes());
    let change = PerVm::default().with_change(vm.get(), GpaAttributesChange::RWX);
    // SAFETY: The caller shares the page.
    unsafe { tdg::mem_page_attr_wr(&Instruction, page, attributes, change) }.map(|_| ())
}

impl Rights {
    const fn attributes(self) -> GpaAttributes {
        let rights = match self {
            Self::All => GpaAttributes::RWX,
            Self::Read => GpaAttributes::R,
            Self::Nothing => GpaAttributes::empty(),
        };
        rights.union(GpaAttributes::VALID)
    }
}
