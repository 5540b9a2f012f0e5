// SPDX-License-Identifier: MIT OR Apache-2.0
//! The L2 payload: an ELF64 file with a PVH note, checked as a whole before a byte is copied.
//!
//! The file is measured, so a mistake in it is a mistake of whoever built the image: every refusal
//! names its cause. All counts are bounded and every range is checked against L2's RAM.
//!
//! Spec: PVH "entry point"; System V gABI "Program Header".

use core::{fmt, ops::Range};

/// Where to copy what, and where to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    elf: &'a [u8],
    /// The 32-bit physical entry point that the PVH note names.
    pub entry: u32,
    headers: Headers,
    ram_end: u64,
}

/// One loadable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Its bytes in the file.
    pub bytes: &'a [u8],
    /// The guest-physical address of its first byte.
    pub gpa: u64,
    /// Its size in memory; what the file does not provide is zero.
    pub size: u64,
}

/// Why a payload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not a little-endian 64-bit ELF file for x86-64.
    NotElf64,
    /// More program headers than any sensible payload has, or headers of an unknown size.
    Headers,
    /// A program header or segment reaches beyond the end of the file.
    Truncated,
    /// A segment reaches beyond L2's RAM, or its size in memory is below that in the file.
    Segment(u64),
    /// No loadable segment at all.
    Empty,
    /// No ELF note of owner `Xen` and type 18, which names the entry point.
    NoPvhNote,
    /// The entry point lies in no segment.
    Entry(u64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf64 => f.write_str("not an ELF64 file for x86-64"),
            Self::Headers => f.write_str("too many program headers, or of an unknown size"),
            Self::Truncated => f.write_str("a segment reaches beyond the end of the file"),
            Self::Segment(gpa) => write!(f, "the segment at {gpa:#x} does not fit into L2's RAM"),
            Self::Empty => f.write_str("nothing to load"),
            Self::NoPvhNote => f.write_str("no PVH note, so no entry point"),
            Self::Entry(gpa) => write!(f, "the entry point {gpa:#x} lies in no segment"),
        }
    }
}

const MAX_HEADERS: u16 = 32;
const HEADER_SIZE: u16 = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const NOTE_PHYS32_ENTRY: u32 = 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Headers {
    offset: u64,
    count: u16,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    kind: u32,
    offset: u64,
    gpa: u64,
    file_size: u64,
    memory_size: u64,
}

/// Checks `elf` against L2's RAM, which is `[0, ram_end)`.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn plan(elf: &[u8], ram_end: u64) -> Result<Plan<'_>, Error> {
    let headers = file_header(elf)?;
    let mut plan = Plan { elf, entry: 0, headers, ram_end };
    let mut entry = None;
    let mut segments = 0;
    for number in 0..headers.count {
        let header = header(elf, headers, number)?;
        match header.kind {
            PT_LOAD if header.memory_size > 0 => {
                segment(elf, &header, ram_end)?;
                segments += 1;
            }
            PT_NOTE if entry.is_none() => {
                entry = pvh_entry(file_range(elf, header.offset, header.file_size)?);
            }
            _ => {}
        }
    }
    if segments == 0 {
        return Err(Error::Empty);
    }
    let entry = entry.ok_or(Error::NoPvhNote)?;
    if !plan.segments().any(|s| s.range().contains(&entry)) {
        return Err(Error::Entry(entry));
    }
    plan.entry = u32::try_from(entry).map_err(|_| Error::Entry(entry))?;
    Ok(plan)
}

impl<'a> Plan<'a> {
    /// The segments to load, in file order.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        let (elf, headers, ram_end) = (self.elf, self.headers, self.ram_end);
        (0..headers.count)
            .filter_map(move |number| header(elf, headers, number).ok())
            .filter(|header| header.kind == PT_LOAD && header.memory_size > 0)
            .filter_map(move |header| segment(elf, &header, ram_end).ok())
    }
}

impl Segment<'_> {
    /// The guest-physical addresses it covers.
    #[must_use]
    pub const fn range(&self) -> Range<u64> {
        self.gpa..self.gpa + self.size
    }
}

fn file_header(elf: &[u8]) -> Result<Headers, Error> {
    let is_elf64 = elf.get(..6) == Some(&[0x7f, b'E', b'L', b'F', 2, 1])
        && u16_at(elf, 18) == Some(62)
        && elf.len() >= 64;
    if !is_elf64 {
        return Err(Error::NotElf64);
    }
    let offset = u64_at(elf, 32).ok_or(Error::NotElf64)?;
    let (size, count) = (u16_at(elf, 54), u16_at(elf, 56));
    match (size, count) {
        (Some(HEADER_SIZE), Some(count)) if count <= MAX_HEADERS => Ok(Headers { offset, count }),
        _ => Err(Error::Headers),
    }
}

fn header(elf: &[u8], headers: Headers, number: u16) -> Result<Header, Error> {
    let at = u64::from(number) * u64::from(HEADER_SIZE);
    let at = headers.offset.checked_add(at).ok_or(Error::Truncated)?;
    let bytes = file_range(elf, at, u64::from(HEADER_SIZE))?;
    let word = |offset| u64_at(bytes, offset).ok_or(Error::Truncated);
    Ok(Header {
        kind: u32_at(bytes, 0).ok_or(Error::Truncated)?,
        offset: word(8)?,
        gpa: word(24)?,
        file_size: word(32)?,
        memory_size: word(40)?,
    })
}

fn segment<'a>(elf: &'a [u8], header: &Header, ram_end: u64) -> Result<Segment<'a>, Error> {
    let bytes = file_range(elf, header.offset, header.file_size)?;
    let end = header.gpa.checked_add(header.memory_size);
    if header.memory_size < header.file_size || end.is_none_or(|end| end > ram_end) {
        return Err(Error::Segment(header.gpa));
    }
    Ok(Segment { bytes, gpa: header.gpa, size: header.memory_size })
}

/// Looks for the entry point among the notes of one segment.
fn pvh_entry(mut notes: &[u8]) -> Option<u64> {
    loop {
        let name_size = usize::try_from(u32_at(notes, 0)?).ok()?;
        let value_size = usize::try_from(u32_at(notes, 4)?).ok()?;
        let kind = u32_at(notes, 8)?;
        let value_at = 12usize.checked_add(name_size)?.checked_next_multiple_of(4)?;
        let end = value_at.checked_add(value_size)?;
        if notes.get(12..12 + name_size)? == b"Xen\0" && kind == NOTE_PHYS32_ENTRY {
            return match value_size {
                4 => u32_at(notes, value_at).map(u64::from),
                8 => u64_at(notes, value_at),
                _ => None,
            };
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}

fn file_range(elf: &[u8], offset: u64, size: u64) -> Result<&[u8], Error> {
    let start = usize::try_from(offset).map_err(|_| Error::Truncated)?;
    let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
    end.and_then(|end| elf.get(start..end)).ok_or(Error::Truncated)
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|raw| u16::from_le_bytes(*raw))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|raw| u32::from_le_bytes(*raw))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|raw| u64::from_le_bytes(*raw))
}

#[cfg(test)]
mod tests;
