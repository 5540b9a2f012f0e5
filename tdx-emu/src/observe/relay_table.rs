// SPDX-License-Identifier: MIT OR Apache-2.0
//! The paravisor's relay table, read from outside as a debugger would.
//!
//! Each virtual CPU has a block whose first page is the virtual-APIC page of L2. At 0x1000 there are 32
//! slots, one word each: the index of a dword in that page (upper ten bits) and the bit inside it (low
//! half). The dwords of the IRR, and the eight from 0x800 on, stand for vectors of L2; 0x824 holds
//! interrupts that L2 masked; anything else means that nothing is mapped. At 0x11a0 there is a dword whose
//! lowest bit says that another CPU posted something. Reading it here lets the figures be made without asking
//! the software being measured.

/// First vector of the block that L1 reserves for relayed interrupts.
pub(crate) const FIRST_RESERVED: u8 = 0x40;

/// Number of vectors in that block.
pub(crate) const LANES: usize = 32;

/// Where the slots begin in a block.
const SLOTS: u64 = 0x1000;

/// The eight bytes of a block whose lower half says what other CPUs left.
const FLAGS: u64 = 0x11a0;

/// In them: a vector of L2 was posted.
const REMOTE_POST: u64 = 1 << 0;

/// Where the table lies in the TD's private memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayTable {
    /// Address of the first block.
    pub(crate) base: u64,
    /// Distance of the blocks.
    pub(crate) stride: u64,
}

impl RelayTable {
    /// Address of the slot word of a lane.
    pub(crate) fn slot(&self, cpu: usize, lane: usize) -> u64 {
        let slots = SLOTS + u64::try_from(lane * size_of::<u64>()).unwrap_or(0);
        self.block(cpu).wrapping_add(slots)
    }

    /// Address of what says that others left something.
    pub(crate) fn flags(&self, cpu: usize) -> u64 {
        self.block(cpu).wrapping_add(FLAGS)
    }

    fn block(&self, cpu: usize) -> u64 {
        let blocks = u64::try_from(cpu).unwrap_or(0).wrapping_mul(self.stride);
        self.base.wrapping_add(blocks)
    }
}

/// Whether a slot word is that of a vector that waits until its CPU is about to enter L2.
pub(crate) fn is_banked(word: u64) -> bool {
    (0x800..0x820).contains(&(word >> 54 << 2)) && matches!(Slot::from_word(word), Slot::Relayed(_))
}

/// Whether flags tell of a vector that another CPU posted.
pub(crate) fn tells_of_remote_post(flags: u64) -> bool {
    flags & REMOTE_POST != 0
}

/// Index of the lane of a vector, if it belongs to the reserved block.
pub(crate) fn lane_of(vector: u8) -> Option<usize> {
    let lane = usize::from(vector.checked_sub(FIRST_RESERVED)?);
    (lane < LANES).then_some(lane)
}

/// What a slot says about the interrupts of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// They are relayed as this vector of L2.
    Relayed(u8),
    /// They are passed on to another CPU, as this vector of L2 there.
    Forwarded { cpu: u8, vector: u8 },
    /// They are kept until L2 unmasks them.
    Held,
    /// They are dropped.
    Unmapped,
}

impl Slot {
    /// Reads a slot word.
    pub(crate) fn from_word(word: u64) -> Self {
        let (offset, mask) = (word >> 54 << 2, word & 0xffff_ffff);
        if word >> 32 & 0x3f_ffff != 0 || !mask.is_power_of_two() {
            return Self::Unmapped;
        }
        let bank = match offset {
            0x200..0x280 if offset.is_multiple_of(16) => (offset - 0x200) / 16,
            0x800..0x820 => (offset - 0x800) / 4,
            0x824 => return Self::Held,
            _ => return Self::Unmapped,
        };
        let vector = u64::from(mask.trailing_zeros()) + 32 * bank;
        u8::try_from(vector).map_or(Self::Unmapped, Self::Relayed)
    }
}

#[cfg(test)]
mod tests {
    use super::{RelayTable, Slot, is_banked, lane_of};

    #[test]
    fn a_slot_word_names_bank_and_bit() {
        let word = |offset: u64, bit: u32| (offset / 4) << 54 | 1 << bit;
        assert_eq!(Slot::from_word(word(0x220, 17)), Slot::Relayed(81));
        assert_eq!(Slot::from_word(word(0x200, 31)), Slot::Relayed(31));
        assert_eq!(Slot::from_word(word(0x270, 31)), Slot::Relayed(255));
        assert_eq!(Slot::from_word(word(0x808, 17)), Slot::Relayed(81));
        assert_eq!(Slot::from_word(word(0x81c, 31)), Slot::Relayed(255));
        assert_eq!(Slot::from_word(word(0x824, 31)), Slot::Held);
        assert!(is_banked(word(0x808, 17)) && is_banked(word(0x81c, 31)));
        assert!(!is_banked(word(0x220, 17)) && !is_banked(word(0x820, 17)));
    }

    #[test]
    fn the_spurious_bank_and_malformed_words_are_unmapped() {
        let irr = 0x80 << 54;
        for word in [
            0x208 << 54 | 1,
            0,
            1,
            irr,
            irr | 3,
            irr | 1 << 32 | 1,
            0x81 << 54 | 1,
            0xa0 << 54 | 1,
            u64::MAX,
        ] {
            assert_eq!(Slot::from_word(word), Slot::Unmapped, "{word:#x}");
        }
    }

    #[test]
    fn slots_lie_behind_the_page_of_each_block() {
        let table = RelayTable { base: 0xffe0_1000, stride: 0x2000 };
        assert_eq!(table.slot(2, 3), 0xffe0_1000 + 0x4000 + 0x1000 + 24);
        assert_eq!(table.flags(2), 0xffe0_1000 + 0x4000 + 0x11a0);
        assert_eq!(lane_of(0x3f), None);
        assert_eq!(lane_of(0x5f), Some(31));
        assert_eq!(lane_of(0x60), None);
    }
}
