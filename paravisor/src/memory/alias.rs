// SPDX-License-Identifier: MIT OR Apache-2.0
//! Giving part of the TD's memory to L2.
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

const RIGHTS: GpaAttributes = GpaAttributes::RWX.union(GpaAttributes::VALID);

/// Lets `vm` read, write and run everything in `range`; 2 MiB aligned. Returns the page at which it
/// was refused.
///
/// # Safety
///
/// No Rust reference to memory in the range exists or will exist.
pub(crate) unsafe fn give(vm: VmIndex, range: Range<u64>) -> Result<(), (u64, Status)> {
    let mut gpa = range.start;
    while gpa < range.end {
        // SAFETY: The page is part of the range.
        match unsafe { give_page(vm, gpa, PageLevel::SIZE_2M) } {
            Ok(()) => {}
            Err(status) if status.is(Status::PAGE_SIZE_MISMATCH) => {
                for small in (gpa..gpa + PageLevel::SIZE_2M.size()).step_by(0x1000) {
                    // SAFETY: As above.
                    unsafe { give_page(vm, small, PageLevel::SIZE_4K) }
                        .map_err(|status| (small, status))?;
                }
            }
            Err(status) => return Err((gpa, status)),
        }
        gpa += PageLevel::SIZE_2M.size();
    }
    Ok(())
}

/// Lets `vm` read, write and run one page.
///
/// # Safety
///
/// As for [`give`].
pub(crate) unsafe fn give_page(vm: VmIndex, gpa: u64, level: PageLevel) -> Result<(), Status> {
    let page = LeveledGpa::of(gpa, level).ok_or(Status::OPERAND_INVALID)?;
    let attributes = PerVm::default().with_attributes(vm.get(), RIGHTS);
    let change = PerVm::default().with_change(vm.get(), GpaAttributesChange::RWX);
    // SAFETY: The caller shares the page.
    unsafe { tdg::mem_page_attr_wr(&Instruction, page, attributes, change) }.map(|_| ())
}
