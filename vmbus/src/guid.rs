// SPDX-License-Identifier: MIT OR Apache-2.0
//! GUIDs: which interface a channel speaks, and which instance of it.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A GUID as it stands in messages.
#[repr(transparent)]
#[derive(
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
pub struct Guid([u8; 16]);

impl Guid {
    /// Makes a GUID of its five groups as they are printed, the last two as one number.
    #[must_use]
    pub const fn new(first: u32, second: u16, third: u16, last: u64) -> Self {
        let ([a, b, c, d], [e, f], [g, h]) =
            (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes());
        let [i, j, k, l, m, n, o, p] = last.to_be_bytes();
        Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// Makes a GUID of its bytes in memory.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, j, k, rest @ ..] = self.0;
        let first = u32::from_le_bytes([a, b, c, d]);
        let (second, third) = (u16::from_le_bytes([e, g]), u16::from_le_bytes([h, i]));
        write!(f, "{first:08x}-{second:04x}-{third:04x}-{j:02x}{k:02x}-")?;
        rest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_first_three_groups_are_numbers_and_the_others_bytes() {
        let scsi = Guid::new(0xba61_63d9, 0x04a1, 0x4d29, 0xb605_72e2_ffb1_dc7f);
        assert_eq!(scsi.to_string(), "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f");
        assert_eq!(scsi.as_bytes()[..10], [0xd9, 0x63, 0x61, 0xba, 0xa1, 4, 0x29, 0x4d, 0xb6, 5]);
    }
}
