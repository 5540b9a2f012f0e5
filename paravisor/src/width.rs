// SPDX-License-Identifier: MIT OR Apache-2.0
//! Register values seen at another width.
//!
//! The target is 64-bit, so a `u64` and a `usize` hold the same values; Rust does not know that. The
//! other functions name the part of a register that is meant, where a bare cast would leave it open.

/// Widens an index or length.
#[must_use]
pub const fn wide(value: usize) -> u64 {
    value as u64
}

/// Narrows an address or length to an index. Lossless on the 64-bit target and on 64-bit hosts.
#[must_use]
pub fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Bits 31:0.
#[must_use]
pub const fn low32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// Bits 63:32.
#[must_use]
pub const fn high32(value: u64) -> u32 {
    (value >> 32) as u32
}

/// Bits 15:0.
#[must_use]
pub const fn low16(value: u64) -> u16 {
    (value & 0xffff) as u16
}

/// Bits 7:0.
#[must_use]
pub const fn low8(value: u64) -> u8 {
    (value & 0xff) as u8
}

/// All ones in the low `bytes` bytes, which is what an absent device reads as.
#[must_use]
pub const fn ones(bytes: u8) -> u64 {
    if bytes >= 8 { u64::MAX } else { (1 << (bytes * 8)) - 1 }
}

#[cfg(test)]
mod tests {
    use super::{high32, low8, low16, low32, ones};

    #[test]
    fn parts_of_a_register_are_the_parts_they_are_named_after() {
        let value = 0x0123_4567_89ab_cdef;
        assert_eq!(low32(value), 0x89ab_cdef);
        assert_eq!(high32(value), 0x0123_4567);
        assert_eq!(low16(value), 0xcdef);
        assert_eq!(low8(value), 0xef);
    }

    #[test]
    fn an_absent_device_reads_as_ones_of_the_access_width() {
        assert_eq!(ones(1), 0xff);
        assert_eq!(ones(4), 0xffff_ffff);
        assert_eq!(ones(8), u64::MAX);
    }
}
