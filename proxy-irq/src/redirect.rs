// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of its two words a mapped slot has: the one that posts into the VIRR, or the one that posts
//! into a bank.
//!
//! A banked word is right always: the drain makes the vector pending and notes that it came by an edge.
//! A direct word is right while nothing has to be noted, which takes three things: the processor
//! delivers from the page ([`ApicMode::Offload`]), no level-triggered line uses the vector, and the
//! trigger-mode register does not still call it level-triggered. So `map` publishes banked words, and
//! the owner, who alone knows these things, rewrites them: when it next serves, and when one of the
//! three changes. The interrupt path does not know the difference.
//!
//! # Orderings
//! Main context of the owner only, IF=0, in program order with its own handlers. A slot is rewritten by
//! compare-and-exchange, because the control plane may be withdrawing it ([`Relay::quarantine`]).
//!
//! [`Relay::quarantine`]: crate::map::Relay::quarantine

use core::sync::atomic::Ordering::Relaxed;

use crate::{
    block::RelayBlock,
    reserved_vector::{L2Vector, Slot},
    slot::{SlotWord, Target, VECTOR_BANKS},
    virtual_apic::Register,
};

/// Who delivers L2's interrupts on a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApicMode {
    /// Nobody yet, or L1: all that pends goes through the banks.
    #[default]
    Banked,
    /// The processor, from the virtual-APIC page.
    Offload,
}

impl RelayBlock {
    /// Redirects the slots to where `mode` wants them. What pends stays pending.
    ///
    /// Context: owner, main context, IF=0, L2 not running.
    pub fn set_mode(&self, mode: ApicMode) {
        self.own.mode.store(mode as u8, Relaxed);
        self.redirect_all();
    }

    /// Returns who delivers L2's interrupts on this CPU.
    #[must_use]
    pub fn mode(&self) -> ApicMode {
        match self.own.mode.load(Relaxed) {
            0 => ApicMode::Banked,
            _ => ApicMode::Offload,
        }
    }

    /// Notes which vectors level-triggered lines use, redirects the slots that have one of them, and
    /// takes those of them that pend for level-triggered.
    ///
    /// Context: as [`set_mode`](Self::set_mode).
    pub fn set_levels(&self, levels: [u32; VECTOR_BANKS]) {
        for (known, new) in self.own.levels.iter().zip(levels) {
            known.store(new, Relaxed);
        }
        for (bank, new) in levels.into_iter().enumerate() {
            let pending = new & self.page.read_bank(Register::IRR, bank);
            self.page.request_bank(bank, pending, new);
        }
        self.redirect_all();
    }

    /// Forgets what INIT makes an APIC forget: registers, and with them all that pends in them.
    ///
    /// Context: as [`set_mode`](Self::set_mode).
    pub fn reset_apic(&self) {
        self.page.reset();
        self.note_virr();
        self.redirect_all();
    }

    /// Gives `slot`, if it is mapped to a vector of this CPU, the better of its two words.
    pub(crate) fn redirect(&self, slot: Slot) {
        let word = self.slot_word(slot);
        let Some(vector) = word.target().and_then(Target::vector) else { return };
        let better = self.word_of(vector);
        if better != word {
            let place = &self.slots[slot.index()];
            let _ = place.compare_exchange(word.raw(), better.raw(), Relaxed, Relaxed);
        }
    }

    /// Makes the vectors `bits` of `bank` pending, with the trigger mode that they have now; returns
    /// those that were pending already.
    pub(crate) fn request_bank(&self, bank: usize, bits: u32) -> u32 {
        let levels = self.own.levels[bank % VECTOR_BANKS].load(Relaxed);
        let stale = bits & self.page.read_bank(Register::TMR, bank) & !levels;
        let merged = self.page.request_bank(bank, bits, levels);
        if stale != 0 {
            self.redirect_all();
        }
        merged
    }

    #[cold]
    fn redirect_all(&self) {
        Slot::all().for_each(|slot| self.redirect(slot));
    }

    fn word_of(&self, vector: L2Vector) -> SlotWord {
        let level = self.own.levels[vector.bank()].load(Relaxed)
            | self.page.read_bank(Register::TMR, vector.bank());
        match self.mode() {
            ApicMode::Offload if level & vector.mask() == 0 => SlotWord::relayed(vector),
            ApicMode::Offload | ApicMode::Banked => SlotWord::banked(vector),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::virtual_apic::Trigger;

    fn vector(number: u8) -> L2Vector {
        L2Vector::new(number).unwrap()
    }

    fn slot(index: u8) -> Slot {
        Slot::new(index).unwrap()
    }

    fn mapped(number: u8) -> RelayBlock {
        let block = RelayBlock::new();
        block.slots[7].store(SlotWord::banked(vector(number)).raw(), Relaxed);
        block
    }

    fn target(block: &RelayBlock) -> Option<Target> {
        block.slot_word(slot(7)).target()
    }

    #[test]
    fn a_mode_moves_the_words_and_leaves_what_pends() {
        let block = mapped(0x51);
        block.on_posted(slot(7));
        block.set_mode(ApicMode::Offload);
        assert_eq!(target(&block), Some(Target::Relayed(vector(0x51))));
        assert_eq!(block.drain(0).relayed, 1);
        block.resume();
        block.page().deliver(vector(0x51));
        block.resume();
        block.on_posted(slot(7));
        block.set_mode(ApicMode::Banked);
        assert_eq!(target(&block), Some(Target::Banked(vector(0x51))));
        let drained = block.drain(0);
        assert_eq!((drained.rvi, drained.relayed), (0x51, 1));
        assert_eq!(block.slot_word(slot(8)), SlotWord::unmapped(slot(8)));
    }

    #[test]
    fn a_vector_of_a_line_is_banked_as_long_as_it_is() {
        let block = mapped(0x51);
        block.set_mode(ApicMode::Offload);
        let mut levels = [0; VECTOR_BANKS];
        levels[2] = vector(0x51).mask();
        block.set_levels(levels);
        assert_eq!(target(&block), Some(Target::Banked(vector(0x51))));
        levels[2] = vector(0x50).mask();
        block.set_levels(levels);
        assert_eq!(target(&block), Some(Target::Relayed(vector(0x51))));
    }

    #[test]
    fn a_level_that_is_over_ends_with_the_next_edge() {
        let block = mapped(0x51);
        block.page().request(vector(0x51), Trigger::Level);
        block.page().deliver(vector(0x51));
        block.set_mode(ApicMode::Offload);
        assert_eq!(target(&block), Some(Target::Banked(vector(0x51))));
        block.on_posted(slot(7));
        let _ = block.drain(0);
        assert_eq!(block.page().trigger(vector(0x51)), Trigger::Edge);
        assert_eq!(target(&block), Some(Target::Relayed(vector(0x51))));
    }

    #[test]
    fn a_vector_of_a_line_is_marked_whether_it_pends_before_or_after() {
        let block = mapped(0x51);
        let mut levels = [0; VECTOR_BANKS];
        levels[1] = vector(0x31).mask();
        let _ = block.post_trusted(vector(0x31));
        let _ = block.drain(0);
        assert_eq!(block.page().trigger(vector(0x31)), Trigger::Edge);
        block.set_levels(levels);
        assert_eq!(block.page().trigger(vector(0x31)), Trigger::Level);
        block.page().deliver(vector(0x31));
        block.resume();
        block.page().write_bank(Register::TMR, 1, 0);
        let _ = block.post_trusted(vector(0x31));
        let _ = block.post_trusted(vector(0x32));
        let _ = block.drain(0);
        assert!(block.page().vectors(Register::TMR).eq([vector(0x31)]));
    }

    #[test]
    fn init_forgets_what_pends_and_keeps_what_is_mapped() {
        let block = mapped(0x51);
        block.set_mode(ApicMode::Offload);
        block.on_posted(slot(7));
        block.on_posted(slot(9));
        block.reset_apic();
        let drained = block.drain(0);
        assert_eq!((drained.rvi, drained.relayed, drained.spurious), (0, 0, slot(9).bit()));
        assert_eq!(target(&block), Some(Target::Relayed(vector(0x51))));
    }
}
