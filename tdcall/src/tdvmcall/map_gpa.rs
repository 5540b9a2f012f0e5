// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<MapGPA>`: ask the host to map memory as shared or as private.
//!
//! | in  |                                             | out |                         |
//! |-----|---------------------------------------------|-----|-------------------------|
//! | R12 | start; with the shared bit to make it shared | R11 | where it stopped, if it did |
//! | R13 | size                                        |     |                         |
//!
//! The host may stop anywhere and ask to be called again for the rest. Its word on where it stopped
//! is believed only if it lies in the range that was asked for, and patience ends when it does not
//! advance. Pages that became private are pending and have to be accepted.
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<MapGPA>`".

#![expect(unsafe_code, reason = "memory changes hands")]

use core::fmt;

use super::{
    SubFunction, VmcallStatus,
    request::{STANDARD, standard},
};
use crate::{GprMask, PageLevel, Registers, Status, Tdcall, tdg::vp_vmcall};

/// How often in a row the host may ask to be called again without having done anything.
pub const MAX_RETRIES_WITHOUT_PROGRESS: u32 = 3;

/// Why memory was not mapped. A part of the range may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapGpaError {
    /// The range is empty, too long, or not made of whole pages.
    NoRangeOfPages,
    /// The host refused the range from `at` on.
    Host {
        /// The start of the last call.
        at: u64,
        /// What it answered.
        status: VmcallStatus,
    },
    /// The host asks to go on outside the range that is left.
    RetryOutOfRange {
        /// The start of the last call.
        at: u64,
        /// Where the host asks to go on.
        answer: u64,
    },
    /// The host asks to be called again for ever.
    NoProgress {
        /// The start of the last call.
        at: u64,
    },
    /// The module did not pass the call on.
    Module(Status),
}

impl core::error::Error for MapGpaError {}

impl fmt::Display for MapGpaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRangeOfPages => f.write_str("not a range of whole pages"),
            Self::Host { at, status } => write!(f, "the host answered {status} at {at:#x}"),
            Self::RetryOutOfRange { at, answer } => {
                write!(f, "the host, called at {at:#x}, asks to go on at {answer:#x}")
            }
            Self::NoProgress { at } => write!(f, "the host makes no progress at {at:#x}"),
            Self::Module(status) => write!(f, "the module answered {status}"),
        }
    }
}

/// Asks the host to map `size` bytes at `gpa`: as shared memory if the shared bit of `gpa` is set,
/// else as private memory.
///
/// # Errors
///
/// Tells who refused what. The range is then in an unknown state.
///
/// # Safety
///
/// Nothing uses the range: its content is lost, and what becomes shared is written by the host.
pub unsafe fn map_gpa(call: &impl Tdcall, gpa: u64, size: u64) -> Result<(), MapGpaError> {
    let page = PageLevel::SIZE_4K.size();
    let end = gpa.checked_add(size).ok_or(MapGpaError::NoRangeOfPages)?;
    if size == 0 || !gpa.is_multiple_of(page) || !size.is_multiple_of(page) {
        return Err(MapGpaError::NoRangeOfPages);
    }
    let mut at = gpa;
    let mut retries = 0;
    loop {
        // SAFETY: What is left is part of the range, which nothing uses.
        let (status, answer) = unsafe { once(call, at, end - at) }.map_err(MapGpaError::Module)?;
        if status == VmcallStatus::SUCCESS {
            return Ok(());
        }
        if status != VmcallStatus::RETRY {
            return Err(MapGpaError::Host { at, status });
        }
        if answer < at || answer >= end || !answer.is_multiple_of(page) {
            return Err(MapGpaError::RetryOutOfRange { at, answer });
        }
        retries = if answer == at { retries + 1 } else { 0 };
        if retries > MAX_RETRIES_WITHOUT_PROGRESS {
            return Err(MapGpaError::NoProgress { at });
        }
        at = answer;
    }
}

/// Calls once and returns R10 and R11.
///
/// # Safety
///
/// As for [`map_gpa`].
unsafe fn once(call: &impl Tdcall, gpa: u64, size: u64) -> Result<(VmcallStatus, u64), Status> {
    let mut r = Registers { r12: gpa, r13: size, ..standard(SubFunction::MAP_GPA) };
    let exposed = STANDARD | GprMask::R12 | GprMask::R13;
    // SAFETY: Nothing uses the range.
    unsafe { vp_vmcall(call, exposed, &mut r) }?;
    Ok((VmcallStatus(r.r10), r.r11))
}

#[cfg(test)]
mod tests {
    use super::{MAX_RETRIES_WITHOUT_PROGRESS, MapGpaError, map_gpa};
    use crate::{Registers, Status, fake::Fake, tdvmcall::VmcallStatus};

    const SHARED: u64 = 1 << 47;

    const fn asked(r12: u64, r13: u64) -> Registers {
        Registers { rcx: 0x3C00, r11: 0x1_0001, r12, r13, ..Registers::ZERO }
    }

    const fn retry(r11: u64) -> Registers {
        Registers { r10: 1, r11, ..Registers::ZERO }
    }

    fn map(fake: &Fake) -> Result<(), MapGpaError> {
        // SAFETY: The fake touches no memory.
        unsafe { map_gpa(fake, SHARED | 0x1000, 0x4000) }
    }

    #[test]
    fn the_rest_is_asked_for_after_a_retry() {
        let fake = Fake::new()
            .tdcall(asked(SHARED | 0x1000, 0x4000), retry(SHARED | 0x3000))
            .tdcall(asked(SHARED | 0x3000, 0x2000), Registers::ZERO);
        assert_eq!(map(&fake), Ok(()));
    }

    #[test]
    fn the_host_cannot_lead_out_of_the_range() {
        let at = SHARED | 0x1000;
        for answer in [0x3000, SHARED, SHARED | 0x5000, SHARED | 0x1234, u64::MAX, 0] {
            let fake = Fake::new().tdcall(asked(at, 0x4000), retry(answer));
            assert_eq!(map(&fake), Err(MapGpaError::RetryOutOfRange { at, answer }));
        }
    }

    #[test]
    fn the_host_cannot_lead_backwards() {
        let fake = Fake::new()
            .tdcall(asked(SHARED | 0x1000, 0x4000), retry(SHARED | 0x3000))
            .tdcall(asked(SHARED | 0x3000, 0x2000), retry(SHARED | 0x2000));
        let expected =
            MapGpaError::RetryOutOfRange { at: SHARED | 0x3000, answer: SHARED | 0x2000 };
        assert_eq!(map(&fake), Err(expected));
    }

    #[test]
    fn the_host_cannot_loop_us() {
        let at = SHARED | 0x1000;
        let mut fake = Fake::new();
        for _ in 0..=MAX_RETRIES_WITHOUT_PROGRESS {
            fake = fake.tdcall(asked(at, 0x4000), retry(at));
        }
        assert_eq!(map(&fake), Err(MapGpaError::NoProgress { at }));
    }

    #[test]
    fn progress_renews_patience() {
        let mut fake = Fake::new();
        for page in [1, 2] {
            let at = SHARED | page << 12;
            let left = 0x5000 - (page << 12);
            for _ in 0..MAX_RETRIES_WITHOUT_PROGRESS {
                fake = fake.tdcall(asked(at, left), retry(at));
            }
            let next = if page == 1 { retry(SHARED | 0x2000) } else { Registers::ZERO };
            fake = fake.tdcall(asked(at, left), next);
        }
        assert_eq!(map(&fake), Ok(()));
    }

    #[test]
    fn refusals_name_who_refused() {
        let at = SHARED | 0x1000;
        let host = Registers { r10: 1 << 63 | 2, r11: 0x9000, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked(at, 0x4000), host);
        let status = VmcallStatus::ALIGN_ERROR;
        assert_eq!(map(&fake), Err(MapGpaError::Host { at, status }));
        let module = Registers { rax: Status::from_trap(6).0, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked(at, 0x4000), module);
        assert_eq!(map(&fake), Err(MapGpaError::Module(Status::from_trap(6))));
    }

    #[test]
    fn what_is_no_range_of_pages_never_reaches_the_host() {
        for (gpa, size) in [(0x1000, 0), (0x1001, 0x1000), (0x1000, 0x1001), (!0xFFF, 0x2000)] {
            // SAFETY: The fake touches no memory.
            let error = unsafe { map_gpa(&Fake::new(), gpa, size) };
            assert_eq!(error, Err(MapGpaError::NoRangeOfPages));
        }
    }
}
