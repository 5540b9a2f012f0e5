// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts that one CPU takes for another, because that one had no slot left.
//!
//! Such a slot's word names the slot's bit of the forward bank. The drain hands the bits out, and a
//! table of one word a slot says where each of them goes: to that CPU's remote bank, like everything
//! that arrives elsewhere, and by its filter.
//!
//! A slot's entry changes only while the slot is unmapped and its owner has seen to what was under way:
//! the owner passes everything on before it serves a request, so once an unmap is served, no bit of the
//! slot is left whose entry somebody else might have got meanwhile.
//!
//! # Orderings
//! An entry is written before the slot's word, which is stored with Release and loaded with Acquire
//! (`post.rs`). The entry itself is Relaxed.

use crate::{
    block::RelayBlock,
    reserved_vector::{L2Vector, Slot},
    slot::FORWARD_BANK,
    sync::Ordering,
};

impl RelayBlock {
    /// Offset of the table: 32 words of 32 bits, each with a vector of L2 in its lowest byte and the
    /// CPU above it, or 0.
    pub const FORWARDS_OFFSET: usize = 0x1400;

    /// Returns which vector of which CPU the interrupts of `slot` become, if they are passed on.
    ///
    /// Context: owner, for the slots that [`drain`](Self::drain) or
    /// [`take_forwarded`](Self::take_forwarded) has named.
    #[must_use]
    pub fn forward(&self, slot: Slot) -> Option<(usize, L2Vector)> {
        let word = self.forwards[slot.index()].load(Ordering::Relaxed);
        let [vector, ..] = word.to_le_bytes();
        Some((usize::try_from(word >> 8).ok()?, L2Vector::new(vector)?))
    }

    /// Takes the slots whose interrupts are to be passed on without a drain.
    ///
    /// Context: owner, main context, IF=0 from here to the [`service`](Self::service) that it precedes.
    #[must_use]
    pub fn take_forwarded(&self) -> u32 {
        self.page.take(FORWARD_BANK)
    }

    /// Says where the interrupts of `slot` go. Control plane only, before the slot is mapped.
    pub(crate) fn set_forward(&self, slot: Slot, cpu: usize, vector: L2Vector) {
        let cpu = u32::try_from(cpu).unwrap_or(u32::MAX);
        self.forwards[slot.index()].store(cpu << 8 | u32::from(vector.get()), Ordering::Relaxed);
    }
}
