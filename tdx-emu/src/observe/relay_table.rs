// SPDX-License-Identifier: MIT OR Apache-2.0
//! The paravisor's relay table, read from outside as a debugger would.
//!
//! Each virtual CPU has a block that starts with 32 slots, one word each: the vector of L2 as a
//! byte offset of a 32-bit bank (high half) and the bit inside that bank (low half). Bank 9 holds
//! interrupts that L2 masked; any other past the eight banks of 256 vectors means that nothing is
//! mapped. Reading it here lets the figures be made without asking the software being measured.

/// First vector of the block that L1 reserves for relayed interrupts.
pub(crate) const FIRST_RESERVED: u8 = 0x40;

/// Number of vectors in that block.
pub(crate) const LANES: usize = 32;

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
        let slots = u64::try_from(lane * size_of::<u64>()).unwrap_or(0);
        let blocks = u64::try_from(cpu).unwrap_or(0).wrapping_mul(self.stride);
        self.base.wrapping_add(blocks).wrapping_add(slots)
    }
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
    /// They are kept until L2 unmasks them.
    Held,
    /// They are dropped.
    Unmapped,
}

impl Slot {
    /// Reads a slot word.
    pub(crate) fn from_word(word: u64) -> Self {
        const HELD: u64 = 9;
        let (bank, mask) = (word >> 34, word & 0xffff_ffff);
        let malformed = word >> 32 & 3 != 0 || !mask.is_power_of_two();
        match u8::try_from(u64::from(mask.trailing_zeros()) + 32 * bank) {
            Ok(vector) if !malformed => Self::Relayed(vector),
            _ if !malformed && bank == HELD => Self::Held,
            _ => Self::Unmapped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RelayTable, Slot, lane_of};

    #[test]
    fn a_slot_word_names_bank_and_bit() {
        assert_eq!(Slot::from_word((4 * 2) << 32 | 1 << 17), Slot::Relayed(81));
        assert_eq!(Slot::from_word(1 << 31), Slot::Relayed(31));
        assert_eq!(Slot::from_word((4 * 7) << 32 | 1 << 31), Slot::Relayed(255));
        assert_eq!(Slot::from_word((4 * 9) << 32 | 1 << 31), Slot::Held);
    }

    #[test]
    fn the_spurious_bank_and_malformed_words_are_unmapped() {
        for word in [32 << 32 | 1, 0, 8 << 32 | 3, 5 << 32 | 1, 1 << 50 | 1, u64::MAX] {
            assert_eq!(Slot::from_word(word), Slot::Unmapped, "{word:#x}");
        }
    }

    #[test]
    fn slots_lie_at_the_start_of_each_block() {
        let table = RelayTable { base: 0xffe0_1000, stride: 0x300 };
        assert_eq!(table.slot(2, 3), 0xffe0_1000 + 0x600 + 24);
        assert_eq!(lane_of(0x3f), None);
        assert_eq!(lane_of(0x5f), Some(31));
        assert_eq!(lane_of(0x60), None);
    }
}
