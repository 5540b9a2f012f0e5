// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host says there is.
//!
//! The hand-off blocks are at an address that the image itself asks for; the host's argument is only
//! compared with it.
#![expect(unsafe_code, reason = "the list is memory the host has filled")]

use core::{fmt, ops::Range};

use paravisor::{
    memory_map::{MemoryMap, TooSmall},
    width,
};
use tdvf::hob;

/// Where the image asks for the list, and how long it may be.
pub(crate) const TD_HOB: Range<u64> = 0x80_0000..0x80_4000;

/// Why there is no memory to start with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Error {
    /// The host's argument is not the address that the image asks for.
    Argument(u64),
    /// The list is wrong.
    List(hob::Error),
    /// The list is right and of no use.
    TooSmall(TooSmall),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(gpa) => write!(f, "the hand-off blocks are said to be at {gpa:#x}"),
            Self::List(error) => write!(f, "{error}"),
            Self::TooSmall(error) => write!(f, "{error}"),
        }
    }
}

/// Reads the list at `argument`.
pub(crate) fn read(argument: u64) -> Result<MemoryMap, Error> {
    if argument != TD_HOB.start {
        return Err(Error::Argument(argument));
    }
    let length = width::index(TD_HOB.end - TD_HOB.start);
    let start = core::ptr::with_exposed_provenance(width::index(TD_HOB.start));
    // SAFETY: The image asks for these pages, so they were added as private memory before the TD ran;
    // the host can no longer change them, and L1 does not while the slice lives.
    let bytes: &[u8] = unsafe { core::slice::from_raw_parts(start, length) };
    let list = hob::read(bytes, TD_HOB.start).map_err(Error::List)?;
    MemoryMap::from_ranges(list.ranges()).map_err(Error::TooSmall)
}
