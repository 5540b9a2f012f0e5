// SPDX-License-Identifier: MIT OR Apache-2.0
//! The numbers the relay is about: reserved vectors of L1, their slots, and vectors of L2.
//!
//! The reserved block is 32 vectors, 32-aligned, so that it is exactly one dword of L1's IRR and two
//! priority classes: "is a relay still pending in L1?" is one register read, and one write of L1's
//! TPR holds back all of them.
//!
//! Spec: SDM "Interrupt, Task, and Processor Priority"; "Valid Interrupt Vectors".

/// The number of reserved vectors, and so of mappings, of one virtual CPU.
pub const SLOTS: usize = 32;

/// The place of one mapping within a virtual CPU's block: 0–31.
///
/// As wide as a pointer and never above 31, so that the compiler uses it as an index as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(Index);

/// The numbers of the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
#[rustfmt::skip]
enum Index {
    S00, S01, S02, S03, S04, S05, S06, S07, S08, S09, S10, S11, S12, S13, S14, S15,
    S16, S17, S18, S19, S20, S21, S22, S23, S24, S25, S26, S27, S28, S29, S30, S31,
}

impl Slot {
    /// All slots in ascending order.
    #[rustfmt::skip]
    pub(crate) const ALL: [Self; SLOTS] = {
        use Index::{
            S00, S01, S02, S03, S04, S05, S06, S07, S08, S09, S10, S11, S12, S13, S14, S15,
            S16, S17, S18, S19, S20, S21, S22, S23, S24, S25, S26, S27, S28, S29, S30, S31,
        };
        [
            Self(S00), Self(S01), Self(S02), Self(S03), Self(S04), Self(S05), Self(S06), Self(S07),
            Self(S08), Self(S09), Self(S10), Self(S11), Self(S12), Self(S13), Self(S14), Self(S15),
            Self(S16), Self(S17), Self(S18), Self(S19), Self(S20), Self(S21), Self(S22), Self(S23),
            Self(S24), Self(S25), Self(S26), Self(S27), Self(S28), Self(S29), Self(S30), Self(S31),
        ]
    };

    /// Returns slot `index`, or `None` if there are not that many.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if (index as usize) < SLOTS { Some(Self::ALL[index as usize]) } else { None }
    }

    /// Returns the slot whose bit is the lowest one set in `bits`.
    pub(crate) const fn lowest(bits: u32) -> Option<Self> {
        Self::new(bits.trailing_zeros().to_le_bytes()[0])
    }

    /// Returns the slot's index.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns the slot's number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0 as u8
    }

    /// Returns the word in which only this slot's bit is set.
    #[must_use]
    #[inline]
    pub const fn bit(self) -> u32 {
        1 << self.index()
    }

    /// Iterates over all slots in ascending order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    /// Iterates over the slots whose bits are set in `bits`: at most 32 steps.
    pub fn in_bits(bits: u32) -> impl Iterator<Item = Self> {
        let mut left = bits;
        core::iter::from_fn(move || {
            let slot = Self::lowest(left)?;
            left &= left - 1;
            Some(slot)
        })
    }
}

/// A vector of L1 that carries one mapping and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservedVector(u8);

impl ReservedVector {
    /// Returns the vector's number, as the device's message data has it.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The 32 vectors of L1 that are set aside for the relay, the same ones on every CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedBlock(u8);

impl ReservedBlock {
    /// Returns the block from `base` to `base + 31`.
    ///
    /// `None` unless `base` is 32-aligned and above the exceptions: the TDX module ignores vectors
    /// below 31 when it raises L1's RVI.
    #[must_use]
    pub const fn new(base: u8) -> Option<Self> {
        if base >= 32 && base.is_multiple_of(32) { Some(Self(base)) } else { None }
    }

    /// Returns the lowest vector of the block.
    #[must_use]
    pub const fn base(self) -> u8 {
        self.0
    }

    /// Returns the index of the block's dword in L1's IRR, ISR and TMR.
    #[must_use]
    pub const fn irr_bank(self) -> u8 {
        self.0 / 32
    }

    /// Returns the vector that belongs to `slot`.
    #[must_use]
    pub const fn vector(self, slot: Slot) -> ReservedVector {
        ReservedVector(self.0 | slot.get())
    }

    /// Returns the slot that belongs to `vector`, or `None` if it lies outside the block.
    #[must_use]
    pub const fn slot(self, vector: u8) -> Option<Slot> {
        if vector & !31 == self.0 { Slot::new(vector & 31) } else { None }
    }
}

/// An interrupt vector of L2: 16–255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct L2Vector(u8);

impl L2Vector {
    /// The highest vector, for places that must hold some vector.
    pub(crate) const HIGHEST: Self = Self(255);

    /// Returns vector `number`, or `None` for 0–15, which an APIC does not accept.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 16 { Some(Self(number)) } else { None }
    }

    /// Returns the vector of bit `bit` of dword `bank` of an IRR.
    pub(crate) fn from_bank(bank: usize, bit: u32) -> Option<Self> {
        let number = u32::try_from(bank).ok()?.checked_mul(32)?.checked_add(bit)?;
        Self::new(u8::try_from(number).ok()?)
    }

    /// Returns the vector's number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Returns the index of the IRR dword that holds the vector: 0–7.
    #[must_use]
    #[inline]
    pub const fn bank(self) -> usize {
        (self.0 >> 5) as usize
    }

    /// Returns the vector's bit within its IRR dword.
    #[must_use]
    #[inline]
    pub const fn mask(self) -> u32 {
        1 << (self.0 & 31)
    }

    /// Iterates over all vectors in ascending order.
    pub fn all() -> impl Iterator<Item = Self> {
        (16..=255).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_aligned_and_above_the_exceptions() {
        let valid = (0..=255).filter(|base| ReservedBlock::new(*base).is_some());
        assert!(valid.eq([0x20, 0x40, 0x60, 0x80, 0xa0, 0xc0, 0xe0]));
    }

    #[test]
    fn slots_and_reserved_vectors_are_the_same_thing() {
        let block = ReservedBlock::new(0x40).unwrap();
        for slot in Slot::all() {
            assert_eq!(block.slot(block.vector(slot).get()), Some(slot));
        }
        let inside = (0..=255).filter(|vector| block.slot(*vector).is_some());
        assert!(inside.eq(0x40..=0x5f));
        assert_eq!(block.irr_bank(), 2);
    }

    #[test]
    fn bits_and_slots_agree() {
        assert!(Slot::in_bits(0x8000_0005).map(Slot::get).eq([0, 2, 31]));
        assert_eq!(Slot::lowest(0), None);
        assert_eq!(Slot::lowest(0x8000_0000), Slot::new(31));
        assert_eq!(Slot::new(32), None);
    }

    #[test]
    fn an_l2_vector_is_a_bank_and_a_bit() {
        assert_eq!(L2Vector::new(15), None);
        for vector in L2Vector::all() {
            let bit = vector.mask().trailing_zeros();
            assert_eq!(L2Vector::from_bank(vector.bank(), bit), Some(vector));
        }
        assert_eq!(L2Vector::from_bank(0, 15), None);
        assert_eq!(L2Vector::from_bank(8, 0), None);
    }
}
