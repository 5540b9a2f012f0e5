// SPDX-License-Identifier: MIT OR Apache-2.0
//! ELF files of 32 and of 64 bits: segments to load, notes, entry point.
//!
//! The file is measured, so a mistake in it is a mistake of whoever built the image. All counts are
//! bounded, and all segments are checked when the file is read, so that none can fail later.
//! Segments go to their physical addresses as they are; nothing is relocated.
//!
//! Spec: System V gABI "ELF Header", "Program Header".

use core::fmt;

use zerocopy::{
    FromBytes, Immutable, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

use crate::segment::Segment;

/// A file whose headers and segments were all found to be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elf<'a> {
    file: &'a [u8],
    table: Table,
    entry: u64,
}

/// Why a file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not a little-endian ELF file of a kind that x86 runs.
    NotElf,
    /// More program headers than any sensible file has, or headers of an unknown size.
    Headers,
    /// A program header or segment reaches beyond the end of the file.
    Truncated,
    /// A segment with more bytes in the file than in memory, or around the end of all addresses.
    Segment(u64),
    /// No loadable segment at all.
    Empty,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => f.write_str("not an ELF file for x86"),
            Self::Headers => f.write_str("too many program headers, or of an unknown size"),
            Self::Truncated => f.write_str("a segment reaches beyond the end of the file"),
            Self::Segment(gpa) => write!(f, "the segment at {gpa:#x} makes no sense"),
            Self::Empty => f.write_str("nothing to load"),
        }
    }
}

const MAX_HEADERS: u16 = 32;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const IDENTITY_32: [u8; 6] = [0x7f, b'E', b'L', b'F', 1, 1];
const IDENTITY_64: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
const MACHINE_386: u16 = 3;
const MACHINE_X86_64: u16 = 62;

/// The file header; the type of addresses is what the two classes differ in.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FileHeader<Address> {
    identity: [u8; 6],
    rest_of_identity: [u8; 10],
    kind: U16,
    machine: U16,
    version: U32,
    entry: Address,
    program_headers: Address,
    section_headers: Address,
    flags: U32,
    header_size: U16,
    program_header_size: U16,
    program_header_count: U16,
    section_header_size: U16,
    section_header_count: U16,
    section_names: U16,
}

const _: () = assert!(size_of::<FileHeader<U32>>() == 52);
const _: () = assert!(size_of::<FileHeader<U64>>() == 64);

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ProgramHeader32 {
    kind: U32,
    offset: U32,
    virtual_address: U32,
    physical_address: U32,
    file_size: U32,
    memory_size: U32,
    flags: U32,
    alignment: U32,
}

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ProgramHeader64 {
    kind: U32,
    flags: U32,
    offset: U64,
    virtual_address: U64,
    physical_address: U64,
    file_size: U64,
    memory_size: U64,
    alignment: U64,
}

const _: () = assert!(size_of::<ProgramHeader32>() == 32);
const _: () = assert!(size_of::<ProgramHeader64>() == 56);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Bits32,
    Bits64,
}

/// The program headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Table {
    class: Class,
    offset: u64,
    count: u16,
}

/// What is used of a program header.
#[derive(Clone, Copy, Debug)]
struct Header {
    kind: u32,
    offset: u64,
    virtual_address: u64,
    gpa: u64,
    file_size: u64,
    memory_size: u64,
    alignment: u64,
}

impl<'a> Elf<'a> {
    /// Whether `file` begins as an ELF file does.
    #[must_use]
    pub fn is(file: &[u8]) -> bool {
        file.starts_with(b"\x7fELF")
    }

    /// Reads the headers of `file` and checks its segments.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let (table, entry) = file_header(file)?;
        let elf = Self { file, table, entry };
        let mut loadable = 0;
        for number in 0..table.count {
            let header = table.header(file, number)?;
            match header.kind {
                PT_LOAD if header.memory_size > 0 => {
                    header.segment(file)?;
                    loadable += 1;
                }
                PT_NOTE => {
                    bytes(file, header.offset, header.file_size)?;
                }
                _ => {}
            }
        }
        if loadable == 0 { Err(Error::Empty) } else { Ok(elf) }
    }

    /// The entry point that the file header names, as a physical address: one that lies in a
    /// segment's virtual addresses is taken for such.
    #[must_use]
    pub fn entry(&self) -> u64 {
        let loadable = self.headers().filter(|header| header.kind == PT_LOAD);
        let mut offsets = loadable.filter_map(|header| {
            let offset = self.entry.checked_sub(header.virtual_address)?;
            (offset < header.memory_size).then_some((header.gpa, offset))
        });
        offsets.next().map_or(self.entry, |(gpa, offset)| gpa.wrapping_add(offset))
    }

    /// The segments to load, in file order.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + Clone + use<'a> {
        let file = self.file;
        let loadable = |header: &Header| header.kind == PT_LOAD && header.memory_size > 0;
        self.headers().filter(loadable).filter_map(move |header| header.segment(file).ok())
    }

    /// The value of the first note of `owner` (with its NUL) and `kind`.
    #[must_use]
    pub fn note(&self, owner: &[u8], kind: u32) -> Option<&'a [u8]> {
        let file = self.file;
        let notes = self.headers().filter(|header| header.kind == PT_NOTE);
        notes
            .filter_map(|header| {
                let alignment = if header.alignment == 8 { 8 } else { 4 };
                Some((bytes(file, header.offset, header.file_size).ok()?, alignment))
            })
            .find_map(|(bytes, alignment)| note_in(bytes, alignment, owner, kind))
    }

    fn headers(&self) -> impl Iterator<Item = Header> + Clone + use<'a> {
        let (file, table) = (self.file, self.table);
        (0..table.count).filter_map(move |number| table.header(file, number).ok())
    }
}

fn file_header(file: &[u8]) -> Result<(Table, u64), Error> {
    let machine = file.get(18..20).and_then(|raw| U16::read_from_bytes(raw).ok());
    match (file.first_chunk(), machine.map(U16::get)) {
        (Some(&IDENTITY_32), Some(MACHINE_386)) => {
            let (raw, _) =
                FileHeader::<U32>::read_from_prefix(file).map_err(|_| Error::Truncated)?;
            let size = size_of::<ProgramHeader32>();
            let count = checked_count(raw.program_header_size, raw.program_header_count, size)?;
            let offset = raw.program_headers.get().into();
            Ok((Table { class: Class::Bits32, offset, count }, raw.entry.get().into()))
        }
        (Some(&IDENTITY_64), Some(MACHINE_X86_64)) => {
            let (raw, _) =
                FileHeader::<U64>::read_from_prefix(file).map_err(|_| Error::Truncated)?;
            let size = size_of::<ProgramHeader64>();
            let count = checked_count(raw.program_header_size, raw.program_header_count, size)?;
            let offset = raw.program_headers.get();
            Ok((Table { class: Class::Bits64, offset, count }, raw.entry.get()))
        }
        _ => Err(Error::NotElf),
    }
}

fn checked_count(size: U16, count: U16, wanted: usize) -> Result<u16, Error> {
    let fits = usize::from(size.get()) == wanted && count.get() <= MAX_HEADERS;
    if fits { Ok(count.get()) } else { Err(Error::Headers) }
}

impl Table {
    fn header(self, file: &[u8], number: u16) -> Result<Header, Error> {
        let size = match self.class {
            Class::Bits32 => size_of::<ProgramHeader32>() as u64,
            Class::Bits64 => size_of::<ProgramHeader64>() as u64,
        };
        let at = self.offset.checked_add(u64::from(number) * size).ok_or(Error::Truncated)?;
        let raw = bytes(file, at, size)?;
        match self.class {
            Class::Bits32 => ProgramHeader32::read_from_bytes(raw).map(Header::from).ok(),
            Class::Bits64 => ProgramHeader64::read_from_bytes(raw).map(Header::from).ok(),
        }
        .ok_or(Error::Truncated)
    }
}

impl From<ProgramHeader32> for Header {
    fn from(raw: ProgramHeader32) -> Self {
        Self {
            kind: raw.kind.get(),
            offset: raw.offset.get().into(),
            virtual_address: raw.virtual_address.get().into(),
            gpa: raw.physical_address.get().into(),
            file_size: raw.file_size.get().into(),
            memory_size: raw.memory_size.get().into(),
            alignment: raw.alignment.get().into(),
        }
    }
}

impl From<ProgramHeader64> for Header {
    fn from(raw: ProgramHeader64) -> Self {
        Self {
            kind: raw.kind.get(),
            offset: raw.offset.get(),
            virtual_address: raw.virtual_address.get(),
            gpa: raw.physical_address.get(),
            file_size: raw.file_size.get(),
            memory_size: raw.memory_size.get(),
            alignment: raw.alignment.get(),
        }
    }
}

impl Header {
    fn segment(self, file: &[u8]) -> Result<Segment<'_>, Error> {
        let bytes = bytes(file, self.offset, self.file_size)?;
        if self.memory_size < self.file_size || self.gpa.checked_add(self.memory_size).is_none() {
            return Err(Error::Segment(self.gpa));
        }
        Ok(Segment { bytes, gpa: self.gpa, size: self.memory_size })
    }
}

/// Looks for a note among those of one segment.
fn note_in<'a>(mut notes: &'a [u8], alignment: usize, owner: &[u8], kind: u32) -> Option<&'a [u8]> {
    loop {
        let (head, rest) = <[U32; 3]>::read_from_prefix(notes).ok()?;
        let name_size = usize::try_from(head[0].get()).ok()?;
        let value_size = usize::try_from(head[1].get()).ok()?;
        let value_at = 12usize.checked_add(name_size)?.checked_next_multiple_of(alignment)?;
        let end = value_at.checked_add(value_size)?;
        if rest.get(..name_size)? == owner && head[2].get() == kind {
            return notes.get(value_at..end);
        }
        notes = notes.get(end.checked_next_multiple_of(alignment)?..)?;
    }
}

fn bytes(file: &[u8], offset: u64, size: u64) -> Result<&[u8], Error> {
    let start = usize::try_from(offset).map_err(|_| Error::Truncated)?;
    let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
    end.and_then(|end| file.get(start..end)).ok_or(Error::Truncated)
}

#[cfg(test)]
pub(crate) mod tests;
