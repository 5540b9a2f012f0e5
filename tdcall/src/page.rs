// SPDX-License-Identifier: MIT OR Apache-2.0
//! A page of guest-physical memory together with its size, as one operand.
//!
//! Spec: TDX-ABI, "EPT Mapping Information", "TDG.MEM.PAGE.ACCEPT Leaf".

use bitfield_struct::bitfield;

/// The level of a Secure EPT entry that maps a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageLevel(pub u8);

impl PageLevel {
    /// A page of 4 KiB.
    pub const SIZE_4K: Self = Self(0);
    /// A page of 2 MiB.
    pub const SIZE_2M: Self = Self(1);
    /// A page of 1 GiB.
    pub const SIZE_1G: Self = Self(2);

    /// Returns the size in bytes of what an entry at this level (0 to 4) covers, else zero.
    #[must_use]
    pub const fn size(self) -> u64 {
        if self.0 > 4 { 0 } else { 1 << (12 + 9 * self.0) }
    }

    const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    const fn into_bits(self) -> u8 {
        self.0
    }
}

/// A guest-physical address with a page level: RCX of the memory functions.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct LeveledGpa {
    /// The level.
    #[bits(3)]
    pub level: PageLevel,
    /// Must be zero.
    #[bits(9)]
    pub reserved_low: u16,
    /// The page number: address bits 51:12.
    #[bits(40)]
    pub page_number: u64,
    /// Must be zero.
    #[bits(10)]
    pub reserved_high: u16,
    /// In answers: the page is still pending.
    pub pending: bool,
    /// Must be zero.
    pub reserved_top: bool,
}

impl LeveledGpa {
    /// Joins an address and a level, or nothing if the address is not aligned to the level.
    #[must_use]
    pub const fn of(gpa: u64, level: PageLevel) -> Option<Self> {
        if level.0 > PageLevel::SIZE_1G.0 || gpa & (level.size() - 1) != 0 || gpa >> 52 != 0 {
            return None;
        }
        Some(Self::new().with_level(level).with_page_number(gpa >> 12))
    }

    /// Returns the address.
    #[must_use]
    pub const fn gpa(&self) -> u64 {
        self.page_number() << 12
    }

    /// Tells whether this is well formed as an input: aligned, level at most `highest`, and
    /// nothing in the reserved bits.
    #[must_use]
    pub const fn is_well_formed(&self, highest: PageLevel) -> bool {
        self.reserved_low() == 0
            && self.reserved_high() == 0
            && !self.pending()
            && !self.reserved_top()
            && self.level().0 <= highest.0
            && self.gpa() & (self.level().size().wrapping_sub(1)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{LeveledGpa, PageLevel};

    #[test]
    fn an_address_must_be_aligned_to_its_level() {
        let page = LeveledGpa::of(0x40_0000, PageLevel::SIZE_2M).expect("aligned");
        assert_eq!(page.into_bits(), 0x40_0001);
        assert_eq!(page.gpa(), 0x40_0000);
        assert_eq!(LeveledGpa::of(0x40_1000, PageLevel::SIZE_2M), None);
        assert_eq!(LeveledGpa::of(0x123, PageLevel::SIZE_4K), None);
        assert_eq!(LeveledGpa::of(1 << 52, PageLevel::SIZE_4K), None);
        assert_eq!(LeveledGpa::of(0, PageLevel(3)), None);
    }

    #[test]
    fn the_module_side_checks_reserved_bits_level_and_alignment() {
        let check = |rcx| LeveledGpa::from_bits(rcx).is_well_formed(PageLevel::SIZE_2M);
        assert!(check(0x40_0001) && check(0x1000));
        assert!(
            !check(0x1001) && !check(2) && !check(0x1008) && !check(1 << 52) && !check(1 << 62)
        );
    }
}
