// SPDX-License-Identifier: MIT OR Apache-2.0
//! The slot word: where an interrupt on one reserved vector goes, in one 64-bit load.
//!
//! ```text
//!  63        54 53            32 31             0
//! ┌────────────┬────────────────┬────────────────┐
//! │ dword index│       0        │      mask      │   interrupt: page[index] |= mask
//! └────────────┴────────────────┴────────────────┘
//! ```
//!
//! | target    | dword of the page              | mask                 |
//! |-----------|--------------------------------|----------------------|
//! | relayed   | 0x200 + 16 × (vector / 32), IRR | 1 << (vector mod 32) |
//! | banked    | 0x800 + 4 × (vector / 32)      | 1 << (vector mod 32) |
//! | unmapped  | 0x820, spurious bank           | 1 << slot            |
//! | held      | 0x824, held bank               | 1 << slot            |
//! | forwarded | 0x828, forward bank            | 1 << slot            |
//!
//! The page has 2^10 dwords and the index 10 bits: whatever the word is, it cannot leave the page, and
//! nothing has to be checked. One word, so a reader sees a mapping whole or not at all. An unmapped
//! slot is a target like any other, so the interrupt path has no branch.

use crate::reserved_vector::{L2Vector, SLOTS, Slot};

/// The number of dwords an IRR has.
pub(crate) const VECTOR_BANKS: usize = 8;

/// The number of words that other contexts write: vectors of devices, vectors of L2 itself and of L1's
/// emulation, and the flag. Vectors below 32 of both kinds share the first word, because those below 16
/// are none; so the first word of the second kind is free for the flag.
pub(crate) const REMOTE_WORDS: usize = 2 * VECTOR_BANKS;

/// Where the dword index begins within the word.
const INDEX_SHIFT: u32 = 54;

/// The lowest dword of the IRR, and the distance of the next one.
const IRR: usize = 0x200 / 4;
const IRR_STEP: usize = 16 / 4;

/// The first of the relay's own banks.
const BANKS: usize = 0x800 / 4;

/// The bank of the slots that map to nothing.
pub(crate) const SPURIOUS_BANK: usize = BANKS + VECTOR_BANKS;

/// The bank of the slots whose mapping is masked.
pub(crate) const HELD_BANK: usize = SPURIOUS_BANK + 1;

/// The bank of the slots whose interrupts belong to another CPU.
pub(crate) const FORWARD_BANK: usize = SPURIOUS_BANK + 2;

/// Returns the dword in which interrupts for vectors of `bank` wait for a drain.
pub(crate) const fn vector_bank(bank: usize) -> usize {
    BANKS + bank % VECTOR_BANKS
}

/// Returns whether a slot word that names `dword` posts into the VIRR.
pub(crate) const fn is_of_virr(dword: usize) -> bool {
    IRR <= dword && dword < IRR + IRR_STEP * VECTOR_BANKS
}

/// One slot of a [`RelayBlock`](crate::block::RelayBlock), decoded by [`SlotWord::target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SlotWord(u64);

/// What a [`SlotWord`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The interrupt becomes pending in L2's APIC as this vector, at once.
    Relayed(L2Vector),
    /// The interrupt becomes pending as this vector of L2 with the next drain.
    Banked(L2Vector),
    /// The slot is not in use; the interrupt is counted as spurious.
    Unmapped(Slot),
    /// The mapping is masked; the interrupt waits until it is unmasked.
    Held(Slot),
    /// The interrupt belongs to another CPU, to which the owner passes it on.
    Forwarded(Slot),
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

    /// Returns the word that makes `vector` pending in L2's APIC.
    #[must_use]
    pub const fn relayed(vector: L2Vector) -> Self {
        Self::encode(IRR + IRR_STEP * vector.bank(), vector.mask())
    }

    /// Returns the word that makes `vector` pending with the next drain.
    #[must_use]
    pub const fn banked(vector: L2Vector) -> Self {
        Self::encode(vector_bank(vector.bank()), vector.mask())
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

    /// Returns the word of `slot` when its interrupts belong to another CPU.
    #[must_use]
    pub const fn forwarded(slot: Slot) -> Self {
        Self::encode(FORWARD_BANK, slot.bit())
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
        let vector = |bank: usize| L2Vector::from_bank(bank, self.mask().trailing_zeros());
        let slot = Slot::lowest(self.mask());
        let target = match self.dword() {
            SPURIOUS_BANK => Target::Unmapped(slot?),
            HELD_BANK => Target::Held(slot?),
            FORWARD_BANK => Target::Forwarded(slot?),
            dword if dword >= BANKS => Target::Banked(vector(dword - BANKS)?),
            dword => Target::Relayed(vector(dword.checked_sub(IRR)? / IRR_STEP)?),
        };
        (target.word() == self).then_some(target)
    }

    /// Returns the index of the word's dword in the page: below 1,024 whatever the word is.
    #[inline]
    pub(crate) const fn dword(self) -> usize {
        (self.0 >> INDEX_SHIFT) as usize
    }

    /// Returns the bits to set in the word's dword.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the mask")]
    pub(crate) const fn mask(self) -> u32 {
        self.0 as u32
    }

    const fn encode(dword: usize, mask: u32) -> Self {
        Self((dword as u64) << INDEX_SHIFT | mask as u64)
    }
}

impl Target {
    /// Returns the word that stands for this target.
    #[must_use]
    pub const fn word(self) -> SlotWord {
        match self {
            Self::Relayed(vector) => SlotWord::relayed(vector),
            Self::Banked(vector) => SlotWord::banked(vector),
            Self::Unmapped(slot) => SlotWord::unmapped(slot),
            Self::Held(slot) => SlotWord::held(slot),
            Self::Forwarded(slot) => SlotWord::forwarded(slot),
        }
    }

    /// Returns the vector of this CPU's L2 that the interrupt becomes.
    #[must_use]
    pub const fn vector(self) -> Option<L2Vector> {
        match self {
            Self::Relayed(vector) | Self::Banked(vector) => Some(vector),
            Self::Unmapped(_) | Self::Held(_) | Self::Forwarded(_) => None,
        }
    }
}

/// A vector of L2 as a remote post takes it: the index of a remote word in the upper four bits, and
/// the bit in it in the low half. Like a slot word, it is taken apart without a check.
///
/// | word    | bits                                                                       |
/// |---------|----------------------------------------------------------------------------|
/// | 0       | 31..16: vectors 31..16 of devices; 15..0: vectors 31..16 of L2 and L1      |
/// | 1 to 7  | vectors of devices, by way of another CPU or of the host's messages: filtered |
/// | 8       | the flag that says which of the others to look at                          |
/// | 9 to 15 | vectors of L2 itself and of L1's own emulation: not filtered               |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct RemoteWord(u64);

impl RemoteWord {
    /// On behalf of a device: the owner's filter applies.
    #[must_use]
    #[inline]
    pub const fn of_device(vector: L2Vector) -> Self {
        Self((vector.bank() as u64) << 60 | vector.mask() as u64)
    }

    /// On behalf of L2 itself or of L1's own emulation: no filter applies.
    #[must_use]
    #[inline]
    pub const fn trusted(vector: L2Vector) -> Self {
        match vector.bank() {
            0 => Self((vector.mask() >> 16) as u64),
            bank => Self(((VECTOR_BANKS + bank) as u64) << 60 | vector.mask() as u64),
        }
    }

    /// Returns the index of the remote word: below 16 whatever the word is.
    #[inline]
    pub(crate) const fn dword(self) -> usize {
        (self.0 >> 60) as usize
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the mask")]
    pub(crate) const fn mask(self) -> u32 {
        self.0 as u32
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::HashMap;

    fn targets() -> impl Iterator<Item = Target> {
        let slots = Slot::all()
            .flat_map(|slot| [Target::Unmapped(slot), Target::Held(slot), Target::Forwarded(slot)]);
        let vectors =
            L2Vector::all().flat_map(|vector| [Target::Relayed(vector), Target::Banked(vector)]);
        vectors.chain(slots)
    }

    #[test]
    fn every_target_has_one_word_and_every_word_one_target() {
        let words: HashMap<_, _> = targets().map(|target| (target.word(), target)).collect();
        assert_eq!(words.len(), 2 * 240 + 3 * SLOTS);
        for (word, target) in words {
            assert_eq!(word.target(), Some(target));
        }
    }

    #[test]
    fn the_index_is_that_of_the_dword_in_the_page() {
        let offset = |word: SlotWord| 4 * (word.raw() >> 54);
        for vector in L2Vector::all() {
            let (direct, banked) = (SlotWord::relayed(vector), SlotWord::banked(vector));
            assert_eq!(offset(direct), 0x200 + 16 * u64::from(vector.get() / 32));
            assert_eq!(offset(banked), 0x800 + 4 * u64::from(vector.get() / 32));
            for word in [direct, banked] {
                assert_eq!(word.raw() & ((1 << 54) - 1), 1 << (vector.get() % 32));
            }
        }
        for slot in Slot::all() {
            assert_eq!(offset(SlotWord::unmapped(slot)), 0x820);
            assert_eq!(offset(SlotWord::held(slot)), 0x824);
            assert_eq!(offset(SlotWord::forwarded(slot)), 0x828);
        }
    }

    #[test]
    fn words_that_no_constructor_makes_have_no_target() {
        let irr = 0x80 << 54;
        for raw in
            [0, 1, irr, irr | 1 << 15, irr | 3 << 16, irr | 1 << 32 | 1 << 16, 0x81 << 54 | 1]
        {
            assert_eq!(SlotWord::from_raw(raw).target(), None, "{raw:#x}");
        }
        for raw in [0x208 << 54, 0x20b << 54 | 1, 0x3ff << 54 | 1, 0xa0 << 54 | 1, u64::MAX] {
            assert_eq!(SlotWord::from_raw(raw).target(), None, "{raw:#x}");
        }
    }
}
