// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TDVF descriptor: a header, then one 32-byte record per section of the TD's first memory.
//!
//! Types and attributes come from outside, so they are numbers with names, not Rust enums.
//!
//! Spec: TDVF "TDVF Descriptor".

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

use crate::{PAGE_SIZE, SectionFault};

/// The first four bytes of a descriptor.
pub(crate) const SIGNATURE: [u8; 4] = *b"TDVF";

/// The only version there is.
pub(crate) const VERSION: u32 = 1;

/// What precedes the sections.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) signature: [u8; 4],
    /// Header and sections together.
    pub(crate) length: U32,
    pub(crate) version: U32,
    pub(crate) count: U32,
}

const _: () = assert!(size_of::<Header>() == 16);

/// One section: where its bytes are in the file, where they go in memory.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Section {
    data_offset: U32,
    raw_size: U32,
    memory_address: U64,
    memory_size: U64,
    kind: U32,
    attributes: U32,
}

const _: () = assert!(size_of::<Section>() == 32);

/// What a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionType(pub u32);

impl SectionType {
    /// Boot firmware volume: code and data of the file.
    pub const BFV: Self = Self(0);
    /// Configuration firmware volume.
    pub const CFV: Self = Self(1);
    /// Where the host writes its hand-off blocks.
    pub const TD_HOB: Self = Self(2);
    /// Zero pages to start with.
    pub const TEMP_MEM: Self = Self(3);
}

bitflags::bitflags! {
    /// How a section's pages are added.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Attributes: u32 {
        /// The contents are measured, not only the addresses.
        const MR_EXTEND = 1 << 0;
        /// The pages are added after the TD's start.
        const PAGE_AUG = 1 << 1;
    }
}

impl Section {
    /// Returns a measured boot firmware volume that fills its memory exactly.
    #[must_use]
    pub fn bfv(data_offset: u32, address: u64, size: u32) -> Self {
        Self {
            data_offset: data_offset.into(),
            raw_size: size.into(),
            memory_address: address.into(),
            memory_size: u64::from(size).into(),
            kind: SectionType::BFV.0.into(),
            attributes: Attributes::MR_EXTEND.bits().into(),
        }
    }

    /// Returns the room for the host's hand-off blocks.
    #[must_use]
    pub fn td_hob(address: u64, size: u64) -> Self {
        Self {
            data_offset: 0.into(),
            raw_size: 0.into(),
            memory_address: address.into(),
            memory_size: size.into(),
            kind: SectionType::TD_HOB.0.into(),
            attributes: 0.into(),
        }
    }

    /// Returns where the data begins in the file.
    #[must_use]
    pub fn data_offset(&self) -> u32 {
        self.data_offset.get()
    }

    /// Returns the number of data bytes in the file.
    #[must_use]
    pub fn raw_size(&self) -> u32 {
        self.raw_size.get()
    }

    /// Returns the guest physical address.
    #[must_use]
    pub fn memory_address(&self) -> u64 {
        self.memory_address.get()
    }

    /// Returns the number of bytes of memory.
    #[must_use]
    pub fn memory_size(&self) -> u64 {
        self.memory_size.get()
    }

    /// Returns what the section is for.
    #[must_use]
    pub fn kind(&self) -> SectionType {
        SectionType(self.kind.get())
    }

    /// Returns how the pages are added; bits without a meaning are kept.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        Attributes::from_bits_retain(self.attributes.get())
    }

    /// Returns whether the contents are measured: zero pages never are, whatever the attribute.
    #[must_use]
    pub fn measured(&self) -> bool {
        self.has_data() && self.attributes().contains(Attributes::MR_EXTEND)
    }

    pub(crate) fn has_data(&self) -> bool {
        matches!(self.kind(), SectionType::BFV | SectionType::CFV)
    }

    /// Checks everything that a section can get wrong in a file of `file` bytes.
    pub(crate) fn check(&self, file: usize) -> Result<(), SectionFault> {
        let (raw, memory) = (self.raw_size(), self.memory_size());
        let page = PAGE_SIZE as u64;
        if self.kind().0 > SectionType::TEMP_MEM.0 {
            return Err(SectionFault::UnknownType(self.kind()));
        }
        if memory < u64::from(raw) {
            return Err(SectionFault::RawLargerThanMemory { raw, memory });
        }
        if !self.memory_address().is_multiple_of(page) {
            return Err(SectionFault::AddressUnaligned(self.memory_address()));
        }
        if memory == 0 || !memory.is_multiple_of(page) {
            return Err(SectionFault::SizeUnaligned(memory));
        }
        if self.memory_address().checked_add(memory).is_none() {
            return Err(SectionFault::AddressOverflow);
        }
        if self.has_data() { self.check_data(file) } else { self.check_no_data() }
    }

    fn check_data(&self, file: usize) -> Result<(), SectionFault> {
        let (offset, raw, memory) = (self.data_offset(), self.raw_size(), self.memory_size());
        if raw == 0 {
            return Err(SectionFault::DataMissing);
        }
        if u64::from(raw) != memory {
            return Err(SectionFault::DataShorterThanMemory { raw, memory });
        }
        if u64::from(offset) + u64::from(raw) > file as u64 {
            return Err(SectionFault::DataOutside { offset, size: raw });
        }
        Ok(())
    }

    fn check_no_data(&self) -> Result<(), SectionFault> {
        match self.raw_size() {
            0 => Ok(()),
            raw => Err(SectionFault::DataUnexpected { raw }),
        }
    }
}
