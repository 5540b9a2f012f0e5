// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the descriptor and the GUIDed table into an image whose contents are already in place.
//!
//! ```text
//!  … | mark GUID | header | sections | zeros | table | descriptor's offset | zeros | reset vector
//!                                            ^ end - 72      ^ end - 32              ^ end - 16
//! ```
//!
//! The offset from the image's start at end − 32 is the older way to find the descriptor; it costs
//! four bytes and serves the tools that know no other.
//!
//! Spec: TDVF "TDVF Metadata".

use zerocopy::{IntoBytes, little_endian::U32};

use crate::{
    Error, Section,
    descriptor::{Header, SIGNATURE, VERSION},
    guid_table::{BYTES_AFTER_TABLE, DESCRIPTOR_MARK, DescriptorTable, Guid},
    parse,
};

/// Bytes at the very end that belong to the reset vector.
const RESET_VECTOR: usize = 16;

/// Writes `sections` and the way to find them into the end of `image`, then reads the image back.
///
/// # Errors
///
/// If the room needed is in use, or the image that comes out is not one that [`parse`] accepts.
pub fn write_metadata(image: &mut [u8], sections: &[Section]) -> Result<(), Error> {
    let length = image.len();
    let truncated = Error::Truncated { length };
    let table = (length.checked_sub(BYTES_AFTER_TABLE))
        .and_then(|end| end.checked_sub(size_of::<DescriptorTable>()))
        .ok_or(truncated)?;
    let size = size_of::<Header>() + size_of_val(sections);
    let descriptor = (table.checked_sub(size).map(|at| at & !0xf))
        .filter(|at| *at >= size_of::<Guid>())
        .ok_or(truncated)?;
    let start = descriptor - size_of::<Guid>();
    let end = length - RESET_VECTOR;
    if let Some(used) = image[start..end].iter().position(|byte| *byte != 0) {
        return Err(Error::MetadataAreaInUse { at: start + used });
    }

    let number = |value: usize| u32::try_from(value).map_err(|_| truncated);
    let header = Header {
        signature: SIGNATURE,
        length: number(size)?.into(),
        version: VERSION.into(),
        count: number(sections.len())?.into(),
    };
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(start, &DESCRIPTOR_MARK);
    put(descriptor, header.as_bytes());
    put(descriptor + size_of::<Header>(), sections.as_bytes());
    put(table, DescriptorTable::new(number(length - descriptor)?).as_bytes());
    put(length - BYTES_AFTER_TABLE, U32::new(number(descriptor)?).as_bytes());
    parse(image).map(|_| ())
}
