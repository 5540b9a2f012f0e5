// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parts of registers: where only the low bits of a word have a meaning, this says so by name.

#![expect(clippy::cast_possible_truncation, reason = "dropping the upper bits is the purpose")]

/// Bits 31:0.
pub(crate) const fn low_32(word: u64) -> u32 {
    word as u32
}

/// Bits 15:0.
pub(crate) const fn low_16(word: u64) -> u16 {
    word as u16
}

/// Bits 7:0.
pub(crate) const fn low_8(word: u64) -> u8 {
    word as u8
}

/// A number that is known to be small, as an index.
pub(crate) const fn index(number: u64) -> usize {
    number as usize
}
