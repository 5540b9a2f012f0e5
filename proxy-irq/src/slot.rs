// SPDX-License-Identifier: MIT OR Apache-2.0
//! The slot word: where an interrupt on one reserved vector goes, in one 64-bit load.
//!
//! ```text
//!  63            32 31             0
//! ┌────────────────┬────────────────┐
//! │  bank offset   │      mask      │   interrupt: banks[offset / 4] |= mask
//! └────────────────┴────────────────┘
//! ```
//!
//! | target   | bank offset        | mask                 |
//! |----------|--------------------|----------------------|
//! | relayed  | 4 × (vector / 32)  | 1 << (vector mod 32) |
//! | unmapped | 32 (spurious bank) | 1 << slot            |
//! | held     | 36 (held bank)     | 1 << slot            |
//!
//! One word, so a reader sees a mapping whole or not at all, and nothing has to be ordered against
//! it. An unmapped slot is a target like any other, so the interrupt path has no branch.

use crate::reserved_vector::{L2Vector, SLOTS, Slot};

/// The number of dwords an IRR has.
pub(crate) const VECTOR_BANKS: usize = 8;

/// The bank of the slots that map to nothing.
pub(crate) const SPURIOUS_BANK: usize = 8;

/// The bank of the slots whose mapping is masked.
pub(crate) const HELD_BANK: usize = 9;

/// The number of banks of a block: a power of two, so that masking an offset bounds it.
pub(crate) const BANKS: usize = 16;

/// One slot of a [`RelayBlock`](crate::block::RelayBlock), decoded by [`SlotWord::target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SlotWord(u64);

/// What a [`SlotWord`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The interrupt becomes pending as this vector of L2.
    Relayed(L2Vector),
    /// The slot is not in use; the interrupt is counted as spurious.
    Unmapped(Slot),
    /// The mapping is masked; the interrupt waits until it is unmasked.
    Held(Slot),
}

impl SlotWord {
    /// The word of each slot when it maps to nothing.
    pub const UNMAPPED: [Self; SLOTS] = {
        let mut words = [Self(0); SLOTS];
        let mut slot = 0;
        while slot < SLOTS {
            words[slot] = Self::encode(SPURIOUS_BANK, 1 << slot);
            slot += 1;
        }
        words
    };

    /// Returns the word that relays to `vector`.
    #[must_use]
    pub const fn relayed(vector: L2Vector) -> Self {
        Self::encode(vector.bank(), vector.mask())
    }

    /// Returns the word of `slot` when it maps to nothing.
    #[must_use]
    pub const fn unmapped(slot: Slot) -> Self {
        Self::UNMAPPED[slot.index()]
    }

    /// Returns the word of `slot` while its mapping is masked.
    #[must_use]
    pub const fn held(slot: Slot) -> Self {
        Self::encode(HELD_BANK, slot.bit())
    }

    /// Takes a word as memory has it.
    #[must_use]
    #[inline]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Returns the word as memory has it.
    #[must_use]
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Returns what the word stands for, or `None` if no constructor makes it.
    #[must_use]
    pub fn target(self) -> Option<Target> {
        let bit = self.mask().trailing_zeros();
        let slot = Slot::lowest(self.mask());
        let target = match self.bank() {
            SPURIOUS_BANK => Target::Unmapped(slot?),
            HELD_BANK => Target::Held(slot?),
            bank => Target::Relayed(L2Vector::from_bank(bank, bit)?),
        };
        (target.word() == self).then_some(target)
    }

    /// Returns the index of the word's bank, below [`BANKS`] whatever the word is.
    #[inline]
    pub(crate) const fn bank(self) -> usize {
        ((self.0 >> 34) & 15) as usize
    }

    /// Returns the bits to set in the word's bank.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the mask")]
    pub(crate) const fn mask(self) -> u32 {
        self.0 as u32
    }

    const fn encode(bank: usize, mask: u32) -> Self {
        Self((bank as u64) << 34 | mask as u64)
    }
}

impl Target {
    /// Returns the word that stands for this target.
    #[must_use]
    pub const fn word(self) -> SlotWord {
        match self {
            Self::Relayed(vector) => SlotWord::relayed(vector),
            Self::Unmapped(slot) => SlotWord::unmapped(slot),
            Self::Held(slot) => SlotWord::held(slot),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::HashMap;

    fn targets() -> impl Iterator<Item = Target> {
        let slots = Slot::all().flat_map(|slot| [Target::Unmapped(slot), Target::Held(slot)]);
        L2Vector::all().map(Target::Relayed).chain(slots)
    }

    #[test]
    fn every_target_has_one_word_and_every_word_one_target() {
        let words: HashMap<_, _> = targets().map(|target| (target.word(), target)).collect();
        assert_eq!(words.len(), 240 + 2 * SLOTS);
        for (word, target) in words {
            assert_eq!(word.target(), Some(target));
        }
    }

    #[test]
    fn the_offset_is_that_of_an_array_of_dwords() {
        for vector in L2Vector::all() {
            let raw = SlotWord::relayed(vector).raw();
            assert_eq!(raw >> 32, 4 * u64::from(vector.get() / 32));
            assert_eq!(raw & 0xffff_ffff, 1 << (vector.get() % 32));
        }
        for slot in Slot::all() {
            assert_eq!(SlotWord::unmapped(slot).raw() >> 32, 32);
            assert_eq!(SlotWord::held(slot).raw() >> 32, 36);
        }
    }

    #[test]
    fn words_that_no_constructor_makes_have_no_target() {
        for raw in [0, 1, 1 << 15, 3 << 16, 1 << 32 | 1, 40 << 32 | 1, 64 << 32 | 1, 32 << 32] {
            assert_eq!(SlotWord::from_raw(raw).target(), None, "{raw:#x}");
            assert!(SlotWord::from_raw(raw).bank() < BANKS);
        }
    }
}
