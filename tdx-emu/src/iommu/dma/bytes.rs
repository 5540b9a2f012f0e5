// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of a structure in memory.

/// The `N` bytes at an offset, if there are as many.
pub(super) fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The sum of all bytes, which is zero in a structure of ACPI.
pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
