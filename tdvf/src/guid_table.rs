// SPDX-License-Identifier: MIT OR Apache-2.0
//! The GUIDed table: a list that is read backwards from a fixed distance before the file's end.
//!
//! ```text
//!  … | data | u16 length | GUID |  data | u16 length | GUID |  u16 total | footer GUID |  32 bytes
//!      <- the entry's length ->                                                        ^ end - 32
//!     <------------------------- total ----------------------------------------------->
//! ```
//!
//! A GUID's first three fields are little endian in a file, hence the byte order below.
//!
//! Spec: TDVF "TDVF Metadata".

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

use crate::Error;

/// A GUID as its 16 bytes stand in a file.
pub(crate) type Guid = [u8; 16];

/// 96b582de-1fb2-45f7-baea-a366c55a082d: the table ends here.
pub(crate) const FOOTER: Guid = [
    0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d,
];

/// e47a6535-984a-4798-865e-4685a7bf8ec2: the distance of the descriptor from the file's end.
pub(crate) const DESCRIPTOR_OFFSET: Guid = [
    0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47, 0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2,
];

/// e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae: stands before a descriptor, for people who search.
pub(crate) const DESCRIPTOR_MARK: Guid = [
    0xf3, 0xf9, 0xea, 0xe9, 0x8e, 0x16, 0xd5, 0x44, 0xa8, 0xeb, 0x7f, 0x4d, 0x87, 0x38, 0xf6, 0xae,
];

/// What follows the table: the reset vector and its surroundings.
pub(crate) const BYTES_AFTER_TABLE: usize = 32;

/// How an entry, and the table itself, ends.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Ending {
    /// Counts this ending too.
    length: U16,
    guid: Guid,
}

/// The table of an image whose only entry points at the descriptor.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DescriptorTable {
    distance: U32,
    entry: Ending,
    footer: Ending,
}

const _: () = assert!(size_of::<Ending>() == 18);
const _: () = assert!(size_of::<DescriptorTable>() == 40);

impl DescriptorTable {
    pub(crate) fn new(distance: u32) -> Self {
        Self {
            distance: distance.into(),
            entry: Ending { length: 22.into(), guid: DESCRIPTOR_OFFSET },
            footer: Ending { length: 40.into(), guid: FOOTER },
        }
    }
}

/// Returns how far before the file's end the table says that the descriptor is.
pub(crate) fn descriptor_distance(file: &[u8]) -> Result<u32, Error> {
    let mut rest = entries(file)?;
    while !rest.is_empty() {
        let base = file_offset(file, rest);
        let (before, ending) = split_ending(rest).ok_or(Error::EntryLength {
            at: base,
            length: u16::try_from(rest.len()).unwrap_or(0),
        })?;
        let at = base + before.len();
        let length = ending.length.get();
        let data = usize::from(length)
            .checked_sub(size_of::<Ending>())
            .filter(|data| *data <= before.len())
            .ok_or(Error::EntryLength { at, length })?;
        let (lower, data) = before.split_at(before.len() - data);
        if ending.guid == DESCRIPTOR_OFFSET {
            return U32::read_from_bytes(data).map(U32::get).map_err(|_| {
                Error::DescriptorEntrySize { at: base + lower.len(), length: data.len() }
            });
        }
        rest = lower;
    }
    Err(Error::DescriptorEntryMissing)
}

/// Returns the bytes that the table's entries take up.
fn entries(file: &[u8]) -> Result<&[u8], Error> {
    let truncated = Error::Truncated { length: file.len() };
    let end = file.len().checked_sub(BYTES_AFTER_TABLE).ok_or(truncated)?;
    let (before, footer) = split_ending(&file[..end]).ok_or(truncated)?;
    if footer.guid != FOOTER {
        return Err(Error::FooterMissing { at: end - size_of::<Guid>() });
    }
    let length = footer.length.get();
    usize::from(length)
        .checked_sub(size_of::<Ending>())
        .and_then(|entries| before.len().checked_sub(entries))
        .map(|start| &before[start..])
        .ok_or(Error::TableLength { at: before.len(), length })
}

fn split_ending(bytes: &[u8]) -> Option<(&[u8], Ending)> {
    Ending::read_from_suffix(bytes).ok()
}

/// Returns where `part`, which ends where the entries do, begins in `file`.
fn file_offset(file: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - file.as_ptr().addr()
}
