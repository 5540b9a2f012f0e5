// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD hand-off block list: which memory the TD has, and whether it was added already.
//!
//! The host writes it into the image's `TD_HOB` pages and gives every virtual CPU the address. A
//! reader inside the TD trusts none of it: the whole list is checked before a range is handed out,
//! and unknown blocks are passed over by their length.
//!
//! Spec: TDVF "TD Hand-Off Block"; PI volume 3 "HOB Code Definitions".

use core::fmt;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// The hand-off information table, always first.
const HANDOFF: u16 = 1;
/// A range of memory.
const RESOURCE_DESCRIPTOR: u16 = 3;
/// Ends the list.
const END_OF_LIST: u16 = 0xffff;

/// The version of the hand-off information table.
const HANDOFF_VERSION: u32 = 9;

/// A range's attributes: present, initialized, tested.
const PRESENT_INITIALIZED_TESTED: u32 = 7;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    kind: U16,
    length: U16,
    reserved: U32,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Handoff {
    header: Header,
    version: U32,
    boot_mode: U32,
    memory_top: U64,
    memory_bottom: U64,
    free_memory_top: U64,
    free_memory_bottom: U64,
    /// The address just after the end of the list.
    end_of_list: U64,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ResourceDescriptor {
    header: Header,
    owner: [u8; 16],
    kind: U32,
    attributes: U32,
    start: U64,
    length: U64,
}

const _: () = assert!(size_of::<Header>() == 8);
const _: () = assert!(size_of::<Handoff>() == 56);
const _: () = assert!(size_of::<ResourceDescriptor>() == 48);

/// What a range of addresses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceType(pub u32);

impl ResourceType {
    /// Memory that was added before the TD started.
    pub const SYSTEM_MEMORY: Self = Self(0);
    /// Memory that the TD must accept before it can be used.
    pub const MEMORY_UNACCEPTED: Self = Self(7);
}

/// A range of guest physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// The number of bytes.
    pub length: u64,
    /// What is there.
    pub kind: ResourceType,
}

/// Why a list is refused, or cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The list does not fit into its memory, or has no end there.
    Truncated {
        /// Where, counted from the list's first byte.
        at: usize,
    },
    /// The first block is not the hand-off information table of the known version.
    Handoff,
    /// The hand-off information table says that the list ends elsewhere.
    End {
        /// Where it says so.
        claimed: u64,
    },
    /// A block's length field is impossible for its type.
    Length {
        /// Where the block begins.
        at: usize,
        /// What the field says.
        length: u16,
    },
    /// A range is empty, overflows, or does not come after the one before.
    Range(Range),
}

/// A list that has been checked.
#[derive(Clone, Copy, Debug)]
pub struct HobList<'a> {
    /// The blocks between the hand-off information table and the end.
    blocks: &'a [u8],
}

/// Writes a list of `ranges`, sorted by address, into `buffer`, which the TD sees at `base`.
/// Returns the number of bytes used.
///
/// # Errors
///
/// If `buffer` is too small or `ranges` are not in order.
pub fn write(buffer: &mut [u8], base: u64, ranges: &[Range]) -> Result<usize, Error> {
    let size =
        size_of::<Handoff>() + size_of::<ResourceDescriptor>() * ranges.len() + size_of::<Header>();
    let capacity = buffer.len();
    let room = buffer.get_mut(..size).ok_or(Error::Truncated { at: capacity })?;
    let (handoff, room) = room.split_at_mut(size_of::<Handoff>());
    handoff.copy_from_slice(
        Handoff {
            header: header(HANDOFF, size_of::<Handoff>()),
            version: HANDOFF_VERSION.into(),
            boot_mode: 0.into(),
            memory_top: 0.into(),
            memory_bottom: 0.into(),
            free_memory_top: 0.into(),
            free_memory_bottom: 0.into(),
            end_of_list: base.wrapping_add(size as u64).into(),
        }
        .as_bytes(),
    );
    let mut order = Order::default();
    let (blocks, end) = room.split_at_mut(room.len() - size_of::<Header>());
    for (block, range) in blocks.chunks_exact_mut(size_of::<ResourceDescriptor>()).zip(ranges) {
        order.check(*range)?;
        block.copy_from_slice(
            ResourceDescriptor {
                header: header(RESOURCE_DESCRIPTOR, size_of::<ResourceDescriptor>()),
                owner: [0; 16],
                kind: range.kind.0.into(),
                attributes: PRESENT_INITIALIZED_TESTED.into(),
                start: range.start.into(),
                length: range.length.into(),
            }
            .as_bytes(),
        );
    }
    end.copy_from_slice(header(END_OF_LIST, size_of::<Header>()).as_bytes());
    Ok(size)
}

fn header(kind: u16, length: usize) -> Header {
    Header {
        kind: kind.into(),
        length: u16::try_from(length).unwrap_or(u16::MAX).into(),
        reserved: 0.into(),
    }
}

/// Reads the list in `bytes`, which the TD sees at `base`.
///
/// # Errors
///
/// If anything of it is not as it must be; see [`Error`].
pub fn read(bytes: &[u8], base: u64) -> Result<HobList<'_>, Error> {
    let (handoff, rest) =
        Handoff::read_from_prefix(bytes).map_err(|_| Error::Truncated { at: bytes.len() })?;
    let first = (handoff.header.kind.get(), usize::from(handoff.header.length.get()));
    if first != (HANDOFF, size_of::<Handoff>()) || handoff.version.get() != HANDOFF_VERSION {
        return Err(Error::Handoff);
    }
    let mut order = Order::default();
    let mut blocks = Blocks { rest };
    loop {
        let at = bytes.len() - blocks.rest.len();
        let (header, block) = blocks.advance(at)?;
        if header.kind.get() == END_OF_LIST {
            let claimed = handoff.end_of_list.get();
            let end = (bytes.len() - blocks.rest.len()) as u64;
            let blocks = &bytes[size_of::<Handoff>()..at];
            let matches = base.checked_add(end) == Some(claimed);
            return if matches { Ok(HobList { blocks }) } else { Err(Error::End { claimed }) };
        }
        if header.kind.get() == RESOURCE_DESCRIPTOR {
            let length = header.length.get();
            order.check(range(block).ok_or(Error::Length { at, length })?)?;
        }
    }
}

impl<'a> HobList<'a> {
    /// Returns the ranges, in rising order and without overlaps.
    pub fn ranges(&self) -> impl Iterator<Item = Range> + use<'a> {
        let mut blocks = Blocks { rest: self.blocks };
        core::iter::from_fn(move || blocks.advance(0).ok())
            .filter(|(header, _)| header.kind.get() == RESOURCE_DESCRIPTOR)
            .filter_map(|(_, block)| range(block))
    }
}

/// The blocks of a list, one after the other.
struct Blocks<'a> {
    rest: &'a [u8],
}

impl<'a> Blocks<'a> {
    /// Returns the next block and its header; `at` is only for the error.
    fn advance(&mut self, at: usize) -> Result<(Header, &'a [u8]), Error> {
        let (header, _) =
            Header::read_from_prefix(self.rest).map_err(|_| Error::Truncated { at })?;
        let length = header.length.get();
        if usize::from(length) < size_of::<Header>() {
            return Err(Error::Length { at, length });
        }
        let (block, rest) =
            self.rest.split_at_checked(length.into()).ok_or(Error::Truncated { at })?;
        self.rest = rest;
        Ok((header, block))
    }
}

fn range(block: &[u8]) -> Option<Range> {
    let raw = ResourceDescriptor::read_from_bytes(block).ok()?;
    Some(Range {
        start: raw.start.get(),
        length: raw.length.get(),
        kind: ResourceType(raw.kind.get()),
    })
}

/// Where the next range may begin.
#[derive(Default)]
struct Order {
    next: u64,
}

impl Order {
    fn check(&mut self, range: Range) -> Result<(), Error> {
        let end = range.start.checked_add(range.length);
        match end {
            Some(end) if range.length > 0 && range.start >= self.next => {
                self.next = end;
                Ok(())
            }
            _ => Err(Error::Range(range)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { at } => write!(f, "hand-off blocks end too early, at {at:#x}"),
            Self::Handoff => write!(f, "no hand-off information table of version 9"),
            Self::End { claimed } => write!(f, "hand-off blocks do not end at {claimed:#x}"),
            Self::Length { at, length } => {
                write!(f, "hand-off block at {at:#x} has the impossible length {length}")
            }
            Self::Range(Range { start, length, .. }) => {
                write!(f, "memory range {start:#x}+{length:#x} is out of order or impossible")
            }
        }
    }
}

impl core::error::Error for Error {}
