// SPDX-License-Identifier: MIT OR Apache-2.0
//! What L2 is told at its start, whichever boot protocol tells it, and the memory it is told in.

use alloc::vec::Vec;
use core::ops::Range;

use zerocopy::{Immutable, IntoBytes};

use crate::platform_area::Region;

/// What L2 is told.
#[derive(Clone, Copy, Debug)]
pub struct HandOff<'a> {
    /// Its RAM, in ascending order.
    pub map: &'a [Region],
    /// Where ACPI begins, or 0.
    pub rsdp: u64,
    /// Its command line.
    pub command_line: &'a str,
    /// Where the file is that came with the kernel, usually an initial RAM disk.
    pub module: Option<(u64, u64)>,
}

/// Bytes for L2, as they are put together before they are copied.
#[derive(Clone, Debug)]
pub struct Block {
    room: Range<u64>,
    bytes: Vec<u8>,
}

/// The command line does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Block {
    /// Nothing yet, in what will be L2's memory at `room`, which begins on a page.
    #[must_use]
    pub const fn new(room: Range<u64>) -> Self {
        Self { room, bytes: Vec::new() }
    }

    /// Appends `part` and tells the address that it will have, a multiple of 8.
    ///
    /// # Errors
    ///
    /// It does not fit any more.
    pub fn append(&mut self, part: &(impl IntoBytes + Immutable + ?Sized)) -> Result<u64, TooLong> {
        let at = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(at, 0);
        self.bytes.extend_from_slice(part.as_bytes());
        let fits = self.bytes.len() as u64 <= self.room.end - self.room.start;
        if fits { Ok(self.room.start + at as u64) } else { Err(TooLong) }
    }

    /// Appends `text` and a NUL.
    ///
    /// # Errors
    ///
    /// It does not fit any more.
    pub fn append_text(&mut self, text: &str) -> Result<u64, TooLong> {
        let at = self.append(text)?;
        // Right behind the text, and in front of the padding: one more byte.
        self.bytes.push(0);
        if self.bytes.len() as u64 <= self.room.end - self.room.start {
            Ok(at)
        } else {
            Err(TooLong)
        }
    }

    /// Where the bytes go.
    #[must_use]
    pub const fn gpa(&self) -> u64 {
        self.room.start
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, TooLong};

    #[test]
    fn parts_stand_where_they_are_said_to() {
        let mut block = Block::new(0x1000..0x1018);
        assert_eq!(block.append_text("ab"), Ok(0x1000));
        assert_eq!(block.append(&7u32), Ok(0x1008));
        assert_eq!(block.append(&9u64), Ok(0x1010));
        assert_eq!(
            (block.gpa(), block.bytes()),
            (
                0x1000,
                &b"ab\0\0\0\0\0\0\
            \x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0"[..]
            )
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(Block::new(0x1000..0x1004).append_text("abc"), Ok(0x1000));
        assert_eq!(Block::new(0x1000..0x1004).append_text("abcd"), Err(TooLong));
        assert_eq!(Block::new(0x1000..0x1004).append(&1u64), Err(TooLong));
    }
}
