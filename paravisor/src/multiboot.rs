// SPDX-License-Identifier: MIT OR Apache-2.0
//! The multiboot header, version 1: what a kernel asks of its loader, and where it goes.
//!
//! A kernel is an ELF file, of either class, or any file whose header says itself what goes where.
//! Modules always begin on a page and the memory map is always there, whether asked for or not. There
//! is no display, so a wish for a video mode is told to whoever asks, and not granted: the
//! information then says that there is none.
//!
//! Spec: MULTIBOOT "OS image format".

use core::fmt;

use zerocopy::{FromBytes, Immutable, KnownLayout, little_endian::U32};

use crate::segment::Segment;

const MAGIC: u32 = 0x1bad_b002;
/// The header is in so much of the file.
const SEARCHED: usize = 8192;
const VIDEO: u32 = 1 << 2;
const ADDRESSES: u32 = 1 << 16;
/// Page-aligned modules, memory information, video mode: the wishes that are known.
const KNOWN: u32 = 0b111;
/// A loader that does not know one of these must not go on.
const MANDATORY: u32 = 0xffff;

#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Raw {
    magic: U32,
    flags: U32,
    checksum: U32,
}

#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct RawAddresses {
    header: U32,
    load: U32,
    load_end: U32,
    bss_end: U32,
    entry: U32,
}

const _: () = assert!(size_of::<Raw>() == 12);
const _: () = assert!(size_of::<RawAddresses>() == 20);

/// A kernel's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Whether the kernel would like a video mode.
    pub wants_video: bool,
    /// What goes where, if the header says that itself; otherwise the file is ELF.
    pub addresses: Option<Addresses<'a>>,
}

/// A kernel that is one piece, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses<'a> {
    /// The piece.
    pub segment: Segment<'a>,
    /// Where it starts.
    pub entry: u64,
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The kernel asks for something mandatory that is not known; these are the bits.
    Flags(u32),
    /// The header says that it has addresses, and the file ends before they do.
    Truncated,
    /// The addresses contradict each other or the file.
    Addresses,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(bits) => {
                write!(f, "the multiboot header demands what is unknown: {bits:#x}")
            }
            Self::Truncated => f.write_str("the file ends in its multiboot header"),
            Self::Addresses => f.write_str("the addresses in the multiboot header make no sense"),
        }
    }
}

/// Looks for the header of `file`: none if the file is not for multiboot.
///
/// # Errors
///
/// There is a header, and it cannot be obeyed.
pub fn header(file: &[u8]) -> Result<Option<Header<'_>>, Error> {
    let searched = file.get(..SEARCHED).unwrap_or(file);
    let places = (0..searched.len()).step_by(4);
    let found = places.into_iter().find_map(|at| {
        let (raw, _) = Raw::read_from_prefix(searched.get(at..)?).ok()?;
        is_header(raw).then_some((at, raw.flags.get()))
    });
    let Some((at, flags)) = found else { return Ok(None) };
    let unknown = flags & MANDATORY & !KNOWN;
    if unknown != 0 {
        return Err(Error::Flags(unknown));
    }
    let addresses = if flags & ADDRESSES == 0 { None } else { Some(addresses(file, at)?) };
    Ok(Some(Header { wants_video: flags & VIDEO != 0, addresses }))
}

const fn is_header(raw: Raw) -> bool {
    let sum = raw.magic.get().wrapping_add(raw.flags.get()).wrapping_add(raw.checksum.get());
    raw.magic.get() == MAGIC && sum == 0
}

/// Reads the addresses of the header at offset `at`.
fn addresses(file: &[u8], at: usize) -> Result<Addresses<'_>, Error> {
    let behind = file.get(at + size_of::<Raw>()..).unwrap_or_default();
    let (raw, _) = RawAddresses::read_from_prefix(behind).map_err(|_| Error::Truncated)?;
    let [header, load, load_end, bss_end] =
        [raw.header, raw.load, raw.load_end, raw.bss_end].map(|word| u64::from(word.get()));
    let length = file.len() as u64;
    // Where the file's first loaded byte is: as far before the header as in memory.
    let start = header
        .checked_sub(load)
        .and_then(|before| (at as u64).checked_sub(before))
        .ok_or(Error::Addresses)?;
    let end = match load_end {
        0 => length,
        _ => load_end.checked_sub(load).map_or(u64::MAX, |size| start + size),
    };
    let bytes = slice(file, start, end).ok_or(Error::Addresses)?;
    let loaded = bytes.len() as u64;
    let size = if bss_end == 0 { loaded } else { bss_end.saturating_sub(load) };
    if size < loaded || size == 0 {
        return Err(Error::Addresses);
    }
    Ok(Addresses { segment: Segment { bytes, gpa: load, size }, entry: raw.entry.get().into() })
}

fn slice(file: &[u8], start: u64, end: u64) -> Option<&[u8]> {
    file.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

#[cfg(test)]
pub(crate) mod tests;
