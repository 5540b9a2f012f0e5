// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host says there is.
//!
//! The hand-off blocks are at an address that the image itself asks for; the host's argument is only
//! compared with it. The list is the host's and checked as a whole by its reader; here one run of
//! RAM from address 0 is taken, and whatever else it lists is left alone.
#![expect(unsafe_code, reason = "the list is memory the host has filled")]

use core::{fmt, ops::Range};

use tdvf::hob::{self, ResourceType};

/// Where the image asks for the list, and how long it may be.
const TD_HOB: Range<u64> = 0x80_0000..0x80_4000;
/// RAM above is left alone: devices and the image begin here.
const RAM_LIMIT: u64 = 0xc000_0000;
/// What L1 keeps.
const OWN: u64 = 16 << 20;
const MIB2: u64 = 2 << 20;

/// The TD's RAM, which begins at 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryMap {
    ram_end: u64,
}

/// Why there is no memory to start with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MapError {
    /// The host's argument is not the address that the image asks for.
    Argument(u64),
    /// The list is wrong.
    List(hob::Error),
    /// Too little RAM at 0, or not in whole pages.
    TooSmall(u64),
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(gpa) => write!(f, "the hand-off blocks are said to be at {gpa:#x}"),
            Self::List(error) => write!(f, "{error}"),
            Self::TooSmall(end) => write!(f, "RAM ends at {end:#x}, too early"),
        }
    }
}

impl MemoryMap {
    /// Reads the list at `argument`.
    pub(crate) fn read(argument: u64) -> Result<Self, MapError> {
        if argument != TD_HOB.start {
            return Err(MapError::Argument(argument));
        }
        let length = paravisor::width::index(TD_HOB.end - TD_HOB.start);
        let start = core::ptr::with_exposed_provenance(paravisor::width::index(TD_HOB.start));
        // SAFETY: The image asks for these pages, so they were added as private memory before the TD
        // ran; the host can no longer change them, and L1 does not while the slice lives.
        let bytes: &[u8] = unsafe { core::slice::from_raw_parts(start, length) };
        let list = hob::read(bytes, TD_HOB.start).map_err(MapError::List)?;
        Self::from_ranges(list.ranges())
    }

    fn from_ranges(ranges: impl Iterator<Item = hob::Range>) -> Result<Self, MapError> {
        let is_ram =
            |kind| kind == ResourceType::SYSTEM_MEMORY || kind == ResourceType::MEMORY_UNACCEPTED;
        let end = ranges.filter(|range| is_ram(range.kind)).take_while_contiguous().min(RAM_LIMIT);
        let ram_end = end & !(MIB2 - 1);
        if ram_end < 2 * OWN { Err(MapError::TooSmall(end)) } else { Ok(Self { ram_end }) }
    }

    /// L2's part.
    pub(crate) const fn guest(self) -> Range<u64> {
        0..self.ram_end - OWN
    }

    /// L1's part.
    pub(crate) const fn own(self) -> Range<u64> {
        self.ram_end - OWN..self.ram_end
    }
}

/// Where the run of ranges that begins at 0 ends.
trait Contiguous {
    fn take_while_contiguous(self) -> u64;
}

impl<I: Iterator<Item = hob::Range>> Contiguous for I {
    fn take_while_contiguous(self) -> u64 {
        self.fold(0, |end, range| if range.start == end { end + range.length } else { end })
    }
}
