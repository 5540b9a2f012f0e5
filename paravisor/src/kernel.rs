// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel that is not Linux's own format: an ELF file with a PVH note, or a multiboot kernel.
//!
//! A file that is both starts by PVH, which tells it more, unless it is asked for otherwise. It is
//! checked as a whole before a byte is copied: what is planned can be done.

use core::{fmt, ops::Range};

use crate::{
    elf::{self, Elf},
    multiboot, pvh,
    segment::{Misplaced, Room, Segment},
};

/// How a kernel starts, and what it is told how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// By its PVH note.
    Pvh,
    /// By its multiboot header.
    Multiboot,
}

/// What to copy where, and where to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// How it starts.
    pub protocol: Protocol,
    /// The 32-bit physical entry point.
    pub entry: u32,
    /// Whether it would like a video mode, which it does not get.
    pub wants_video: bool,
    parts: Parts<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parts<'a> {
    Elf(Elf<'a>),
    One(Segment<'a>),
}

/// Why a kernel was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Neither an ELF file nor a multiboot kernel.
    Unknown,
    /// An ELF file that cannot be loaded.
    Elf(elf::Error),
    /// A multiboot header that cannot be obeyed.
    Multiboot(multiboot::Error),
    /// It does not go where it wants to.
    Misplaced(Misplaced),
    /// An ELF file that does not say how to start it.
    NoEntry,
    /// It was to start by PVH and has no note.
    NoPvhNote,
    /// It was to start by multiboot and has no header.
    NoMultibootHeader,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("neither an ELF file nor a multiboot kernel"),
            Self::Elf(error) => write!(f, "{error}"),
            Self::Multiboot(error) => write!(f, "{error}"),
            Self::Misplaced(error) => write!(f, "{error}"),
            Self::NoEntry => f.write_str("an ELF file without PVH note or multiboot header"),
            Self::NoPvhNote => f.write_str("no PVH note, so no entry point"),
            Self::NoMultibootHeader => f.write_str("no multiboot header"),
        }
    }
}

/// Plans how to load `file` into `room` and start it, by `protocol` if that is given.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn plan<'a>(
    file: &'a [u8],
    room: &Room<'_>,
    protocol: Option<Protocol>,
) -> Result<Plan<'a>, Error> {
    let plan = match protocol {
        Some(Protocol::Pvh) => by_pvh(file)?.ok_or(Error::NoPvhNote)?,
        Some(Protocol::Multiboot) => by_multiboot(file)?.ok_or(Error::NoMultibootHeader)?,
        None if Elf::is(file) => match by_pvh(file)? {
            Some(plan) => plan,
            None => by_multiboot(file)?.ok_or(Error::NoEntry)?,
        },
        None => by_multiboot(file)?.ok_or(Error::Unknown)?,
    };
    let ranges = plan.parts.segments().map(|segment| segment.range());
    let entry = room.check(ranges, plan.entry).map_err(Error::Misplaced)?;
    Ok(Plan { protocol: plan.protocol, entry, wants_video: plan.wants_video, parts: plan.parts })
}

impl<'a> Plan<'a> {
    /// The segments to load.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + Clone + use<'a> {
        self.parts.segments()
    }

    /// Whether no segment wants any of `range`.
    #[must_use]
    pub fn leaves(&self, range: &Range<u64>) -> bool {
        self.segments().all(|segment| {
            let taken = segment.range();
            taken.end <= range.start || range.end <= taken.start
        })
    }
}

/// A plan whose addresses are still the file's word.
struct Wish<'a> {
    protocol: Protocol,
    entry: u64,
    wants_video: bool,
    parts: Parts<'a>,
}

impl<'a> Parts<'a> {
    fn segments(self) -> impl Iterator<Item = Segment<'a>> + Clone + use<'a> {
        let (elf, one) = match self {
            Self::Elf(elf) => (Some(elf), None),
            Self::One(segment) => (None, Some(segment)),
        };
        elf.into_iter().flat_map(|elf| elf.segments()).chain(one)
    }
}

fn by_pvh(file: &[u8]) -> Result<Option<Wish<'_>>, Error> {
    let elf = Elf::parse(file).map_err(Error::Elf)?;
    Ok(pvh::entry(&elf).map(|entry| Wish {
        protocol: Protocol::Pvh,
        entry,
        wants_video: false,
        parts: Parts::Elf(elf),
    }))
}

fn by_multiboot(file: &[u8]) -> Result<Option<Wish<'_>>, Error> {
    let Some(header) = multiboot::header(file).map_err(Error::Multiboot)? else { return Ok(None) };
    let (parts, entry) = match header.addresses {
        Some(addresses) => (Parts::One(addresses.segment), addresses.entry),
        None => {
            let elf = Elf::parse(file).map_err(Error::Elf)?;
            (Parts::Elf(elf), elf.entry())
        }
    };
    let protocol = Protocol::Multiboot;
    Ok(Some(Wish { protocol, entry, wants_video: header.wants_video, parts }))
}

#[cfg(test)]
mod tests {
    use super::{Error, Misplaced, Plan, Protocol, Room, plan};
    use crate::{elf, elf::tests as elf_files, multiboot, multiboot::tests as multiboot_files};
    use alloc::vec::Vec;

    const ROOM: Room<'_> = Room { end: 0x100_0000, taken: &[] };
    const START: u32 = 0x10_0004;

    fn pvh_file() -> Vec<u8> {
        elf_files::file(&elf_files::note(b"Xen\0", 18, &START.to_le_bytes()))
    }

    fn with_header(mut elf: Vec<u8>, flags: u32) -> Vec<u8> {
        elf.resize(elf.len().next_multiple_of(4), 0);
        elf.extend(multiboot_files::file(0, flags, &[]));
        elf
    }

    fn protocol(file: &[u8], wanted: Option<Protocol>) -> Result<(Protocol, u32), Error> {
        plan(file, &ROOM, wanted).map(|Plan { protocol, entry, .. }| (protocol, entry))
    }

    #[test]
    fn a_note_comes_before_a_header_unless_asked_for_otherwise() {
        let both = with_header(pvh_file(), 3);
        assert_eq!(protocol(&both, None), Ok((Protocol::Pvh, START)));
        assert_eq!(protocol(&both, Some(Protocol::Pvh)), Ok((Protocol::Pvh, START)));
        let multiboot = (Protocol::Multiboot, 0x10_0000);
        assert_eq!(protocol(&both, Some(Protocol::Multiboot)), Ok(multiboot));
    }

    #[test]
    fn a_kernel_with_one_of_both_starts_by_it() {
        assert_eq!(protocol(&pvh_file(), None), Ok((Protocol::Pvh, START)));
        let narrow = with_header(elf_files::file_32(), 3);
        assert_eq!(protocol(&narrow, None), Ok((Protocol::Multiboot, 0x10_0008)));
        let flat = multiboot_files::file(0, 1 << 16, &[START, START, 0, 0, START]);
        assert_eq!(protocol(&flat, None), Ok((Protocol::Multiboot, START)));
    }

    #[test]
    fn what_cannot_start_says_why() {
        assert_eq!(protocol(b"#!/bin/sh\n", None), Err(Error::Unknown));
        assert_eq!(protocol(&elf_files::file_32(), None), Err(Error::NoEntry));
        assert_eq!(protocol(&elf_files::file_32(), Some(Protocol::Pvh)), Err(Error::NoPvhNote));
        let wanted = Some(Protocol::Multiboot);
        assert_eq!(protocol(&pvh_file(), wanted), Err(Error::NoMultibootHeader));
        let refused = Error::Multiboot(multiboot::Error::Flags(0x10));
        assert_eq!(protocol(&with_header(elf_files::file_32(), 0x10), None), Err(refused));
        let no_elf = multiboot_files::file(0, 3, &[]);
        assert_eq!(protocol(&no_elf, None), Err(Error::Elf(elf::Error::NotElf)));
    }

    #[test]
    fn what_a_kernel_wants_is_not_left() {
        let file = pvh_file();
        let plan = plan(&file, &ROOM, None).unwrap();
        assert!(plan.leaves(&(0xf_0000..0x10_0000)));
        assert!(plan.leaves(&(0x10_0020..0x10_0021)));
        assert!(!plan.leaves(&(0xf_0000..0x10_0001)));
        assert!(!plan.leaves(&(0x10_001f..0x10_0021)));
    }

    #[test]
    fn a_kernel_must_fit_between_what_is_there() {
        let room = Room { end: 0x10_0010, taken: &[] };
        let outside = Error::Misplaced(Misplaced::Outside(0x10_0000));
        assert_eq!(plan(&pvh_file(), &room, None), Err(outside));
        let room = Room { end: 0x100_0000, taken: &[0..0x10_0000, 0x10_0010..0x10_0020] };
        let taken = Error::Misplaced(Misplaced::Overlap(0x10_0000));
        assert_eq!(plan(&pvh_file(), &room, None), Err(taken));
    }
}
