// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MEM.PAGE.ACCEPT` (leaf 6): accept a pending page into private memory, as zeros.
//!
//! | in  |                        | out |     |
//! |-----|------------------------|-----|-----|
//! | RCX | page, 4 KiB or 2 MiB   |     |     |
//!
//! A page that was accepted already is no error of the module but is told apart: it was *not*
//! zeroed now, and a host that makes the TD accept a page twice may be up to something.
//!
//! Spec: TDX-ABI, "TDG.MEM.PAGE.ACCEPT Leaf".

#![expect(unsafe_code, reason = "accepting a page replaces its content")]

use core::fmt;

use super::busy;
use crate::{Leaf, LeveledGpa, OperandId, PageLevel, Registers, Status, Tdcall};

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a page that was accepted before was not zeroed"]
pub enum Acceptance {
    /// It was pending and is now private memory of zeros.
    Accepted,
    /// It belonged to the TD already, mapped at this level, and keeps its content.
    AlreadyAccepted(PageLevel),
}

/// Accepts one page.
///
/// # Errors
///
/// [`Status::PAGE_SIZE_MISMATCH`] if a 2 MiB page was asked for where the host has smaller ones.
///
/// # Safety
///
/// Nothing uses the page: its content becomes zero.
pub unsafe fn mem_page_accept(call: &impl Tdcall, page: LeveledGpa) -> Result<Acceptance, Status> {
    let input =
        Registers { rax: Leaf::MEM_PAGE_ACCEPT.rax(), rcx: page.into_bits(), ..Registers::ZERO };
    // SAFETY: The caller guarantees that nothing uses the page.
    let (status, _) = unsafe { busy::tdcall(call, input) };
    if status.is(Status::PAGE_ALREADY_ACCEPTED) {
        return Ok(Acceptance::AlreadyAccepted(PageLevel((status.details() & 7) as u8)));
    }
    status.success().map(|()| Acceptance::Accepted)
}

/// What became of a range of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "pages that were accepted before were not zeroed"]
pub struct AcceptedRange {
    /// Pages of 2 MiB accepted.
    pub pages_2m: u64,
    /// Pages of 4 KiB accepted.
    pub pages_4k: u64,
    /// Bytes that had been accepted before.
    pub already_accepted: u64,
    /// The first address that had been accepted before.
    pub first_already_accepted: Option<u64>,
}

/// Why a range could not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptRangeError {
    /// The page at which it stopped; all before it is accepted.
    pub gpa: u64,
    /// The status.
    pub status: Status,
}

impl core::error::Error for AcceptRangeError {}

impl fmt::Display for AcceptRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {:#x} was not accepted: {}", self.gpa, self.status)
    }
}

/// Accepts all pages from `start` up to `end`: by 2 MiB where that is possible, else by 4 KiB.
///
/// # Errors
///
/// Tells the page that was refused. A range that is not made of whole pages is refused as the
/// module would, before anything is accepted.
///
/// # Safety
///
/// Nothing uses the range: its content becomes zero, but for pages accepted before.
pub unsafe fn accept_range(
    call: &impl Tdcall,
    start: u64,
    end: u64,
) -> Result<AcceptedRange, AcceptRangeError> {
    let refusal = Status::OPERAND_INVALID.with_operand(OperandId::RCX);
    let whole = |gpa: u64| gpa.is_multiple_of(PageLevel::SIZE_4K.size()) && gpa >> 52 == 0;
    if !whole(start) || !whole(end) || start > end {
        return Err(AcceptRangeError { gpa: start, status: refusal });
    }
    let mut range = AcceptedRange::default();
    let mut gpa = start;
    // Below this address the host is known to have pages of 4 KiB only.
    let mut small_below = start;
    while gpa < end {
        let large = gpa >= small_below && end - gpa >= PageLevel::SIZE_2M.size();
        let page = large.then(|| LeveledGpa::of(gpa, PageLevel::SIZE_2M)).flatten();
        let page = page.or_else(|| LeveledGpa::of(gpa, PageLevel::SIZE_4K));
        let page = page.ok_or(AcceptRangeError { gpa, status: refusal })?;
        // SAFETY: The page is part of the range, which nothing uses.
        match unsafe { mem_page_accept(call, page) } {
            Ok(acceptance) => {
                range.count(page, acceptance);
                gpa += page.level().size();
            }
            Err(status)
                if page.level() == PageLevel::SIZE_2M && status.is(Status::PAGE_SIZE_MISMATCH) =>
            {
                small_below = gpa + PageLevel::SIZE_2M.size();
            }
            Err(status) => return Err(AcceptRangeError { gpa, status }),
        }
    }
    Ok(range)
}

impl AcceptedRange {
    fn count(&mut self, page: LeveledGpa, acceptance: Acceptance) {
        match acceptance {
            Acceptance::AlreadyAccepted(_) => {
                self.already_accepted += page.level().size();
                self.first_already_accepted.get_or_insert(page.gpa());
            }
            Acceptance::Accepted if page.level() == PageLevel::SIZE_2M => self.pages_2m += 1,
            Acceptance::Accepted => self.pages_4k += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AcceptRangeError, Acceptance, AcceptedRange, accept_range, mem_page_accept};
    use crate::{LeveledGpa, OperandId, PageLevel, Registers, Status, fake::Fake};

    const fn asked(rcx: u64) -> Registers {
        Registers { rax: 6, rcx, ..Registers::ZERO }
    }

    const fn answered(status: Status) -> Registers {
        Registers { rax: status.0, ..Registers::ZERO }
    }

    #[test]
    fn a_page_accepted_before_is_told_apart() {
        let already = Status::PAGE_ALREADY_ACCEPTED.with_details(1);
        let fake = Fake::new()
            .tdcall(asked(0x20_0000), answered(already))
            .tdcall(asked(0x20_0000), answered(Status::SUCCESS));
        let page = LeveledGpa::of(0x20_0000, PageLevel::SIZE_4K).expect("aligned");
        // SAFETY: The fake touches no memory.
        let first = unsafe { mem_page_accept(&fake, page) };
        // SAFETY: The fake touches no memory.
        let second = unsafe { mem_page_accept(&fake, page) };
        assert_eq!(first, Ok(Acceptance::AlreadyAccepted(PageLevel::SIZE_2M)));
        assert_eq!(second, Ok(Acceptance::Accepted));
    }

    #[test]
    fn a_range_uses_large_pages_where_it_can() {
        let fake = Fake::new()
            .tdcall(asked(0x1F_F000), answered(Status::SUCCESS))
            .tdcall(asked(0x20_0001), answered(Status::SUCCESS))
            .tdcall(asked(0x40_0001), answered(Status::PAGE_ALREADY_ACCEPTED))
            .tdcall(asked(0x60_0000), answered(Status::SUCCESS));
        // SAFETY: The fake touches no memory.
        let range = unsafe { accept_range(&fake, 0x1F_F000, 0x60_1000) };
        let expected = AcceptedRange {
            pages_2m: 1,
            pages_4k: 2,
            already_accepted: 0x20_0000,
            first_already_accepted: Some(0x40_0000),
        };
        assert_eq!(range, Ok(expected));
    }

    #[test]
    fn a_size_mismatch_falls_back_to_small_pages_for_that_large_page_only() {
        let mismatch = answered(Status::PAGE_SIZE_MISMATCH.with_details(1));
        let mut fake = Fake::new().tdcall(asked(0x20_0001), mismatch);
        for page in 0..512 {
            fake = fake.tdcall(asked(0x20_0000 + page * 0x1000), answered(Status::SUCCESS));
        }
        fake = fake.tdcall(asked(0x40_0001), answered(Status::SUCCESS));
        // SAFETY: The fake touches no memory.
        let range = unsafe { accept_range(&fake, 0x20_0000, 0x60_0000) }.expect("accepted");
        assert_eq!((range.pages_2m, range.pages_4k), (1, 512));
    }

    #[test]
    fn a_refusal_tells_where() {
        let refusal = Status::OPERAND_INVALID.with_operand(OperandId::RCX);
        let fake = Fake::new()
            .tdcall(asked(0x1000), answered(Status::SUCCESS))
            .tdcall(asked(0x2000), answered(Status::PAGE_SIZE_MISMATCH));
        // SAFETY: The fake touches no memory.
        let stopped = unsafe { accept_range(&fake, 0x1000, 0x4000) };
        let status = Status::PAGE_SIZE_MISMATCH;
        assert_eq!(stopped, Err(AcceptRangeError { gpa: 0x2000, status }));
        for (start, end) in [(0x1001, 0x2000), (0x1000, 0x2001), (0x2000, 0x1000), (0, 1 << 53)] {
            // SAFETY: The fake touches no memory.
            let error = unsafe { accept_range(&fake, start, end) }.expect_err("no range of pages");
            assert_eq!((error.gpa, error.status), (start, refusal));
        }
    }
}
