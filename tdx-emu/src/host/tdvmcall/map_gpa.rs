// SPDX-License-Identifier: MIT OR Apache-2.0
//! `MapGPA`: R12 = first address, its shared bit saying what the pages become; R13 = size.
//!
//! Shared pages are given at once, zeroed. A page that becomes private is taken away; the TD gets a
//! new one when it accepts it.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<MapGPA>`".

use alloc::vec::Vec;
use core::ops::Range;

use tdcall::{Registers, tdvmcall::VmcallStatus};

use crate::{
    host::{
        private_memory::Failure,
        shared_memory,
        td::{PAGE, SHARED_BIT, Td},
    },
    machine::memory,
};

pub(super) fn answer(td: &Td, registers: &mut Registers) -> VmcallStatus {
    let (start, size) = (registers.r12, registers.r13);
    let Some(last) = start.checked_add(size).and_then(|end| end.checked_sub(1)) else {
        return VmcallStatus::INVALID_OPERAND;
    };
    let is_range = last >= start && last < SHARED_BIT << 1 && (start ^ last) & SHARED_BIT == 0;
    if !is_range {
        return VmcallStatus::INVALID_OPERAND;
    }
    if !start.is_multiple_of(PAGE) || !size.is_multiple_of(PAGE) {
        return VmcallStatus::ALIGN_ERROR;
    }
    let first = start & !SHARED_BIT;
    let pages = first..first + size;
    if !td.private.contains(first) || !td.private.contains(pages.end - 1) {
        registers.r11 = start;
        return VmcallStatus::INVALID_OPERAND;
    }
    let mapped =
        if start & SHARED_BIT != 0 { make_shared(td, pages) } else { make_private(td, pages) };
    match mapped {
        Ok(()) => VmcallStatus::SUCCESS,
        Err(failure) => {
            log::warn!("refused: gpa={start:#x} size={size:#x}: {failure}");
            registers.r11 = start;
            VmcallStatus::GPA_INUSE
        }
    }
}

fn make_shared(td: &Td, pages: Range<u64>) -> Result<(), Failure> {
    let mut blocked = Vec::new();
    for gpa in pages.clone().step_by(4096) {
        if td.private.block(gpa)? {
            blocked.push(gpa);
        }
    }
    if !blocked.is_empty() {
        td.private.track()?;
        td.flush_translations();
    }
    blocked.into_iter().try_for_each(|gpa| td.private.remove(gpa))?;
    pages.step_by(4096).try_for_each(|gpa| shared_memory::make_shared(td, gpa))
}

fn make_private(td: &Td, pages: Range<u64>) -> Result<(), Failure> {
    let taken: Vec<_> =
        pages.step_by(4096).filter_map(|gpa| shared_memory::unshare(td, gpa)).collect();
    if !taken.is_empty() {
        td.flush_translations();
    }
    taken.into_iter().for_each(memory::free_page);
    Ok(())
}
