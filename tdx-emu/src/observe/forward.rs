// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the paravisor passes an interrupt on to that one CPU takes for another.
//!
//! The slot word of such an interrupt is the bit of its slot in the dword at 0x828 of the block. A table
//! of the same block has a word for each slot: a vector of L2 in the lowest byte, the CPU above it.

use super::relay_table::{LANES, RelayTable, Slot};

/// The dword for interrupts that are passed on, as slot words name it.
const FORWARD_BANK: u64 = 0x828 / 4;

/// Where the table begins in a block.
const TABLE: u64 = 0x1400;

/// The lane whose word is `word`, if its interrupts are passed on.
pub(crate) fn lane(word: u64) -> Option<usize> {
    let bits = u32::try_from(word & !(FORWARD_BANK << 54)).ok()?;
    let lane = usize::try_from(bits.trailing_zeros()).ok()?;
    (word >> 54 == FORWARD_BANK && bits.is_power_of_two() && lane < LANES).then_some(lane)
}

/// Address of the eight bytes of the table that a lane's word is part of.
pub(crate) fn address(table: RelayTable, cpu: usize, lane: usize) -> u64 {
    let blocks = u64::try_from(cpu).unwrap_or(0).wrapping_mul(table.stride);
    let pairs = u64::try_from(lane / 2 * 8).unwrap_or(0);
    table.base.wrapping_add(blocks).wrapping_add(TABLE).wrapping_add(pairs)
}

/// Where a lane's interrupts go, by those eight bytes.
pub(crate) fn target(pair: u64, lane: usize) -> Slot {
    let word = if lane.is_multiple_of(2) { pair } else { pair >> 32 };
    let [vector, cpu, ..] = word.to_le_bytes();
    if vector == 0 { Slot::Unmapped } else { Slot::Forwarded { cpu, vector } }
}

#[cfg(test)]
mod tests {
    use super::{RelayTable, Slot, address, lane, target};

    #[test]
    fn a_slot_word_names_its_own_slot() {
        assert_eq!(lane(0x20a << 54 | 1 << 31), Some(31));
        for other in [0, 1, 0x20a << 54, 0x20a << 54 | 3, 0x208 << 54 | 1, 0x20a << 54 | 1 << 40] {
            assert_eq!(lane(other), None, "{other:#x}");
        }
    }

    #[test]
    fn two_lanes_share_eight_bytes() {
        let table = RelayTable { base: 0x10_0000, stride: 0x2000 };
        assert_eq!(address(table, 1, 3), 0x10_0000 + 0x2000 + super::TABLE + 8);
        let pair = (2 << 8 | 97) << 32 | 1 << 8 | 96;
        assert_eq!(target(pair, 2), Slot::Forwarded { cpu: 1, vector: 96 });
        assert_eq!(target(pair, 3), Slot::Forwarded { cpu: 2, vector: 97 });
        assert_eq!(target(0, 3), Slot::Unmapped);
    }
}
