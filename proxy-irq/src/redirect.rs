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
//! The drain looks at the banks only if a slot may post there. Whoever gives a slot a banked word says so
//! before: the slot's bit first, then the flag. The owner alone takes that back, for a slot that it has
//! just given another word: bit first, then the flag if that was the last one, and then it looks at the
//! bits once more, because somebody may have set another one before the flag was cleared.
//!
//! # Orderings
//! Main context of the owner only, IF=0, in program order with its own handlers. A slot is rewritten by
//! compare-and-exchange, because the control plane may be withdrawing it ([`Relay::quarantine`]).
//!
//! [`Relay::quarantine`]: crate::map::Relay::quarantine

use crate::{
    block::RelayBlock,
    enter_state::{BANKED, Work},
    reserved_vector::{L2Vector, Slot},
    slot::{SlotWord, Target, VECTOR_BANKS, is_of_virr},
    sync::{
        Ordering::{Relaxed, SeqCst},
        fence_under_loom,
    },
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

/// A dword of the page that no processor and no slot writes.
const NOTHING_PENDS: u32 = 1;

/// Whether vectors have stopped being level-triggered, so that slots may post them directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Levels {
    /// None has.
    Unchanged,
    /// Some have: the slots are to be redirected.
    Ended,
}

impl RelayBlock {
    /// Redirects the slots to where `mode` wants them. What pends stays pending.
    ///
    /// Context: owner, main context, IF=0, L2 not running.
    pub fn set_mode(&self, mode: ApicMode) {
        self.own.mode.store(mode as u8, Relaxed);
        self.redirect(!0);
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
        self.redirect(!0);
    }

    /// Forgets what INIT makes an APIC forget: registers, and with them all that pends in them.
    ///
    /// Context: as [`set_mode`](Self::set_mode).
    pub fn reset_apic(&self) {
        self.page.reset();
        self.settle_posted();
        self.redirect(!0);
    }

    /// Gives the slots `slots`, as far as they are mapped to a vector of this CPU, the better of their
    /// two words.
    pub(crate) fn redirect(&self, slots: u32) {
        Slot::in_bits(slots).for_each(|slot| self.redirect_one(slot));
        let known = self.control.only.load(Relaxed);
        let only = self.only_dword(known, slots);
        if only != known {
            self.look_at(only);
        }
        debug_assert!(self.is_enough(only), "slots post where no drain looks");
        if self.control.dirty.load(Relaxed) != 0 {
            self.make_drain_look_everywhere();
        }
    }

    fn redirect_one(&self, slot: Slot) {
        let word = self.slot_word(slot);
        let Some(vector) = word.target().and_then(Target::vector) else { return };
        let better = self.word_of(vector);
        if better != word {
            if better == SlotWord::banked(vector) {
                self.announce_banked(slot);
            }
            let place = &self.slots[slot.index()];
            let _ = place.compare_exchange(word.raw(), better.raw(), Relaxed, Relaxed);
        }
        if better != SlotWord::banked(vector) {
            self.withdraw_banked(slot);
        }
    }

    /// What pends may be where the next drain would not look otherwise. Owner.
    pub(crate) fn make_drain_look_everywhere(&self) {
        self.remote_pending().fetch_or(Work::REMOTE.bits(), SeqCst);
    }

    /// Says that `slot` may post into a bank of vectors: before it gets such a word. Control plane, for
    /// a slot that is free, and owner.
    pub(crate) fn announce_banked(&self, slot: Slot) {
        self.mailbox.banked.fetch_or(slot.bit(), SeqCst);
        self.remote_pending().fetch_or(BANKED, SeqCst);
    }

    /// Says that `slot`, which is in use, posts into no bank any more: after the owner gave it another
    /// word. Owner, IF=0.
    pub(crate) fn withdraw_banked(&self, slot: Slot) {
        let banked = &self.mailbox.banked;
        if banked.load(Relaxed) & slot.bit() == 0 {
            return;
        }
        self.add_to_virr(|| self.empty_vector_banks());
        if banked.fetch_and(!slot.bit(), SeqCst) == slot.bit() {
            self.remote_pending().fetch_and(!BANKED, SeqCst);
            fence_under_loom();
            if banked.load(SeqCst) != 0 {
                self.remote_pending().fetch_or(BANKED, SeqCst);
            }
        }
    }

    /// Returns the dword of the VIRR that all direct slots post into, 0 if there are several, and if there
    /// is no direct slot one in which nothing ever pends. `known` is what it was before `slots` changed:
    /// what they leave is still enough to look at, so the others are not looked through unless `known`
    /// says no more than that there were several.
    fn only_dword(&self, known: u32, slots: u32) -> u32 {
        if known == 0 {
            return self.join(NOTHING_PENDS, !0);
        }
        match self.join(known, slots) {
            0 => self.join(NOTHING_PENDS, !0),
            only => only,
        }
    }

    /// Returns the one dword that is both `only` and where those of `slots` that are direct post into; 0
    /// if there is no such one.
    fn join(&self, only: u32, slots: u32) -> u32 {
        let mut only = only;
        for slot in Slot::in_bits(slots) {
            let Some(dword) = self.direct_dword(slot) else { continue };
            if only == NOTHING_PENDS {
                only = dword;
            } else if only != dword {
                return 0;
            }
        }
        only
    }

    /// Whether a drain that looks at `only` sees what every direct slot posts.
    fn is_enough(&self, only: u32) -> bool {
        only == 0
            || Slot::all().all(|slot| self.direct_dword(slot).is_none_or(|dword| dword == only))
    }

    /// Returns the dword of the VIRR that `slot` posts into, if it is a direct one.
    fn direct_dword(&self, slot: Slot) -> Option<u32> {
        let dword = self.slot_word(slot).dword();
        is_of_virr(dword).then(|| u32::try_from(dword).unwrap_or(0))
    }

    /// Makes the vectors `bits` of `bank` pending, with the trigger mode that they have now; returns
    /// those that were pending already.
    pub(crate) fn request_bank(&self, bank: usize, bits: u32) -> (u32, Levels) {
        let levels = self.own.levels[bank % VECTOR_BANKS].load(Relaxed);
        let stale = bits & self.page.read_bank(Register::TMR, bank) & !levels;
        let merged = self.page.request_bank(bank, bits, levels);
        (merged, if stale == 0 { Levels::Unchanged } else { Levels::Ended })
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
        block.announce_banked(slot(7));
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
        assert_eq!((block.drain(0).rvi, block.figures().relayed), (0x51, 1));
        block.resume();
        block.page().deliver(vector(0x51));
        block.resume();
        block.on_posted(slot(7));
        block.set_mode(ApicMode::Banked);
        assert_eq!(target(&block), Some(Target::Banked(vector(0x51))));
        let drained = block.drain(0);
        assert_eq!((drained.rvi, block.figures().relayed), (0x51, 2));
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
    fn the_drain_looks_at_one_dword_as_long_as_all_slots_post_there() {
        let block = RelayBlock::new();
        block.set_mode(ApicMode::Offload);
        let dword = |number: u8| u32::try_from(SlotWord::relayed(vector(number)).dword()).unwrap();
        let give = |index: u8, word: SlotWord| {
            block.slots[slot(index).index()].store(word.raw(), Relaxed);
            block.redirect(slot(index).bit());
            block.control.only.load(Relaxed)
        };
        assert_eq!(give(3, SlotWord::unmapped(slot(3))), NOTHING_PENDS);
        assert_eq!(give(3, SlotWord::relayed(vector(0x51))), dword(0x51));
        assert_eq!(give(4, SlotWord::relayed(vector(0x5f))), dword(0x51));
        assert_eq!(give(5, SlotWord::held(slot(5))), dword(0x51));
        assert_eq!(give(3, SlotWord::relayed(vector(0x91))), 0);
        assert_eq!(give(5, SlotWord::unmapped(slot(5))), 0);
        assert_eq!(give(4, SlotWord::unmapped(slot(4))), dword(0x91), "back to one");
        assert_eq!(
            give(3, SlotWord::relayed(vector(0x31))),
            dword(0x31),
            "moved, with none beside"
        );
    }

    #[test]
    fn init_forgets_what_pends_and_keeps_what_is_mapped() {
        let block = mapped(0x51);
        block.set_mode(ApicMode::Offload);
        block.on_posted(slot(7));
        block.on_posted(slot(9));
        block.reset_apic();
        let drained = block.drain(0);
        assert_eq!((drained.rvi, block.figures().relayed), (0, 0));
        assert_eq!(block.take_aside().spurious, slot(9).bit());
        assert_eq!(target(&block), Some(Target::Relayed(vector(0x51))));
    }
}
