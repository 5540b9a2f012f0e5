// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with an image, and where: every variant carries the file offset it is about.

use core::fmt;

use crate::SectionType;

/// Why an image is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file ends before the structures that every image has.
    Truncated {
        /// Bytes in the file.
        length: usize,
    },
    /// The GUID that ends the table is not at its fixed distance from the end of the file.
    FooterMissing {
        /// Where it was looked for.
        at: usize,
    },
    /// The table's length field counts less than the table's own end, or more than the file.
    TableLength {
        /// Where the length stands.
        at: usize,
        /// What it says.
        length: u16,
    },
    /// A table entry's length field is too small for its own end, or leaves the table.
    EntryLength {
        /// Where the length stands.
        at: usize,
        /// What it says.
        length: u16,
    },
    /// The table has no entry that points at a TDVF descriptor.
    DescriptorEntryMissing,
    /// The entry that points at the descriptor does not hold exactly four bytes.
    DescriptorEntrySize {
        /// Where its data begins.
        at: usize,
        /// How much data it has.
        length: usize,
    },
    /// The descriptor would lie outside the file.
    DescriptorOutside {
        /// Its alleged distance from the end of the file.
        distance: u32,
    },
    /// The descriptor does not begin with `TDVF`.
    Signature {
        /// Where the descriptor begins.
        at: usize,
        /// What stands there.
        found: [u8; 4],
    },
    /// The descriptor is of a version other than 1.
    Version {
        /// Where the descriptor begins.
        at: usize,
        /// The version it claims.
        version: u32,
    },
    /// The descriptor's length does not agree with its number of sections, or leaves the file.
    DescriptorLength {
        /// Where the descriptor begins.
        at: usize,
        /// The length it claims.
        length: u32,
        /// The number of sections it claims.
        count: u32,
    },
    /// Fewer sections than firmware and hand-off block need.
    TooFewSections {
        /// The number of sections.
        count: u32,
    },
    /// A section breaks a rule.
    Section {
        /// Which one, counted from 0.
        index: usize,
        /// Where it stands in the file.
        at: usize,
        /// The rule.
        fault: SectionFault,
    },
    /// No section is the boot firmware volume.
    NoBootFirmware,
    /// No section is a TD hand-off block.
    NoTdHob,
    /// More than one section is a TD hand-off block.
    ManyTdHobs,
    /// The bytes that the metadata would overwrite are in use.
    MetadataAreaInUse {
        /// The first byte that is not zero.
        at: usize,
    },
}

/// The rule that a section breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionFault {
    /// No loader knows this type.
    UnknownType(SectionType),
    /// More data in the file than memory to put it.
    RawLargerThanMemory {
        /// Bytes in the file.
        raw: u32,
        /// Bytes of memory.
        memory: u64,
    },
    /// The address is not that of a page.
    AddressUnaligned(u64),
    /// The memory is not whole pages, or none at all.
    SizeUnaligned(u64),
    /// The memory would go past the end of the address space.
    AddressOverflow,
    /// A firmware or configuration volume without data.
    DataMissing,
    /// Less data than memory: what follows it in the file would be loaded, or zeros, by taste of
    /// the loader.
    DataShorterThanMemory {
        /// Bytes in the file.
        raw: u32,
        /// Bytes of memory.
        memory: u64,
    },
    /// The data would lie outside the file.
    DataOutside {
        /// Where it would begin.
        offset: u32,
        /// How much it would be.
        size: u32,
    },
    /// Data for memory that is defined to be zero.
    DataUnexpected {
        /// Bytes in the file.
        raw: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { length } => write!(f, "image of {length} bytes is truncated"),
            Self::FooterMissing { at } => write!(f, "no table footer GUID at offset {at:#x}"),
            Self::TableLength { at, length } => {
                write!(f, "table length {length} at offset {at:#x} is impossible")
            }
            Self::EntryLength { at, length } => {
                write!(f, "table entry length {length} at offset {at:#x} is impossible")
            }
            Self::DescriptorEntryMissing => write!(f, "no table entry points at a descriptor"),
            Self::DescriptorEntrySize { at, length } => {
                write!(f, "descriptor entry at offset {at:#x} holds {length} bytes, not 4")
            }
            Self::DescriptorOutside { distance } => {
                write!(f, "descriptor {distance:#x} bytes before the end is outside the image")
            }
            Self::Signature { at, found } => {
                write!(f, "descriptor at offset {at:#x} begins with {found:02x?}, not \"TDVF\"")
            }
            Self::Version { at, version } => {
                write!(f, "descriptor at offset {at:#x} has version {version}, not 1")
            }
            Self::DescriptorLength { at, length, count } => write!(
                f,
                "descriptor at offset {at:#x} has length {length}, impossible with {count} sections"
            ),
            Self::TooFewSections { count } => write!(f, "{count} sections, at least 2 are needed"),
            Self::Section { index, at, fault } => {
                write!(f, "section {index} at offset {at:#x}: {fault}")
            }
            Self::NoBootFirmware => write!(f, "no boot firmware volume (BFV) section"),
            Self::NoTdHob => write!(f, "no TD_HOB section"),
            Self::ManyTdHobs => write!(f, "more than one TD_HOB section"),
            Self::MetadataAreaInUse { at } => {
                write!(f, "offset {at:#x} is needed for metadata but holds something")
            }
        }
    }
}

impl fmt::Display for SectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnknownType(kind) => write!(f, "unknown section type {}", kind.0),
            Self::RawLargerThanMemory { raw, memory } => {
                write!(f, "{raw:#x} bytes of data for {memory:#x} bytes of memory")
            }
            Self::AddressUnaligned(address) => {
                write!(f, "address {address:#x} is not 4 KiB aligned")
            }
            Self::SizeUnaligned(size) => write!(f, "memory size {size:#x} is not whole pages"),
            Self::AddressOverflow => write!(f, "memory goes past the end of the address space"),
            Self::DataMissing => write!(f, "no data"),
            Self::DataShorterThanMemory { raw, memory } => {
                write!(f, "only {raw:#x} bytes of data for {memory:#x} bytes of memory")
            }
            Self::DataOutside { offset, size } => {
                write!(f, "data {offset:#x}+{size:#x} is outside the image")
            }
            Self::DataUnexpected { raw } => write!(f, "{raw:#x} bytes of data where none may be"),
        }
    }
}

impl core::error::Error for Error {}
