// SPDX-License-Identifier: MIT OR Apache-2.0
//! From pending bits to L2's virtual APIC: the last step before an entry into L2.
//!
//! What was posted directly is in the VIRR already. Remote bits pass the filter and join the banks;
//! banks are ORed into the VIRR a dword at a time. The cost does not depend on how many vectors pend,
//! and a word of other CPUs is written only if it was seen not to be zero, so an idle drain takes no
//! line away from anyone.
//!
//! The RVI is the higher of what the processor saved at the last exit and the highest vector of the
//! VIRR. The TDX module does not look at the VIRR, so the RVI that is returned here must reach the next
//! `TDG.VP.ENTER`.
//!
//! The interrupt path counts nothing. The owner remembers the VIRR as L2 left it
//! ([`RelayBlock::resume`]), and what is set in it beyond that was posted since.
//!
//! # Orderings
//! `remote_pending` is cleared *before* the banks are read, both SeqCst, against a poster that writes
//! its bit before it looks at the flag (`post.rs`): it sees the flag cleared and sets it again, or its
//! bit is found here. The clearing also has to be a read-modify-write, for the other bits' sake.
//! Everything else is the owner's own and Relaxed.
//!
//! Spec: SDM "Virtual-Interrupt Delivery".

use crate::{
    block::RelayBlock,
    counters::{add, ones},
    enter_state::Work,
    slot::{FORWARD_BANK, SPURIOUS_BANK, VECTOR_BANKS, vector_bank},
    sync::{AtomicU32, Ordering, fence_under_loom},
    virtual_apic::Register,
};

/// What a drain has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "the RVI must be in the guest state of the next TDG.VP.ENTER"]
pub struct Drained {
    /// The RVI to enter L2 with.
    pub rvi: u8,
    /// Slots that took an interrupt while they mapped to nothing; to be warned about, rarely.
    pub spurious: u32,
    /// Slots whose interrupt belongs to another CPU.
    pub forwarded: u32,
    /// How many vectors were made pending that had not been.
    pub relayed: u32,
    /// How many vectors of a bank were found already pending in the virtual APIC.
    pub merged: u32,
}

impl RelayBlock {
    /// Moves everything that pends into the virtual APIC of L2 on this CPU.
    ///
    /// Context: owner, main context, IF=0 from here to `TDG.VP.ENTER`. `saved_rvi` is the RVI that
    /// the last exit from L2 returned, or that of the last drain if there was no entry since.
    #[inline]
    pub fn drain(&self, saved_rvi: u8) -> Drained {
        let dirty = self.control.dirty.load(Ordering::Relaxed);
        let remote = self.control.remote_pending.load(Ordering::Relaxed);
        if dirty | remote == 0 {
            return Drained { rvi: saved_rvi, ..Drained::default() };
        }
        self.drain_pending(saved_rvi)
    }

    fn drain_pending(&self, saved_rvi: u8) -> Drained {
        let mut drained = Drained::default();
        if self.control.remote_pending.load(Ordering::Relaxed) & Work::REMOTE.bits() != 0 {
            self.admit_remote();
        }
        if self.control.dirty.load(Ordering::Relaxed) != 0 {
            self.control.dirty.store(0, Ordering::Relaxed);
            self.empty_banks(&mut drained);
            self.look_at_virr(&mut drained);
            self.count(&drained);
        }
        drained.rvi = drained.rvi.max(saved_rvi);
        drained
    }

    /// Moves remote bits that the filter lets pass into the banks. Context: owner, IF=0.
    #[inline(never)]
    pub(crate) fn admit_remote(&self) {
        let pending = &self.control.remote_pending;
        if pending.load(Ordering::Relaxed) & Work::REMOTE.bits() == 0 {
            return;
        }
        pending.fetch_and(!Work::REMOTE.bits(), Ordering::SeqCst);
        fence_under_loom();
        for bank in 0..VECTOR_BANKS {
            let bits = self.take_allowed(bank) | take(&self.remote.0[VECTOR_BANKS + bank]);
            if bits != 0 {
                let added = bits & !self.page.get(vector_bank(bank));
                add(&self.counters.remote, added.count_ones());
                self.page.set(vector_bank(bank), bits);
                self.control.dirty.store(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes the device bits of one remote bank and drops those that L2 has not configured here.
    fn take_allowed(&self, bank: usize) -> u32 {
        let bits = take(&self.remote.0[bank]);
        if bits == 0 {
            return 0;
        }
        let allowed = self.mailbox.allowed[bank].load(Ordering::Relaxed);
        if bits & !allowed != 0 {
            self.counters.count_filtered(bank, bits & !allowed);
        }
        bits & allowed
    }

    /// Moves what waits in the banks to the VIRR, a dword at a time. Context: owner, IF=0.
    #[inline]
    fn empty_banks(&self, drained: &mut Drained) {
        let any = (0..VECTOR_BANKS).fold(0, |any, bank| any | self.page.get(vector_bank(bank)));
        if any != 0 {
            self.empty_vector_banks(drained);
        }
        drained.spurious = self.page.take(SPURIOUS_BANK);
        drained.forwarded = self.page.take(FORWARD_BANK);
    }

    #[inline(never)]
    fn empty_vector_banks(&self, drained: &mut Drained) {
        for bank in 0..VECTOR_BANKS {
            let bits = self.page.take(vector_bank(bank));
            if bits != 0 {
                drained.merged += ones(self.request_bank(bank, bits));
            }
        }
    }

    /// Finds the highest vector of the VIRR, and counts those that are new in it.
    #[inline]
    fn look_at_virr(&self, drained: &mut Drained) {
        for bank in (0..VECTOR_BANKS).rev() {
            let pending = self.page.read_bank(Register::IRR, bank);
            if pending != 0 {
                self.look_at_bank(bank, pending, drained);
            }
        }
    }

    #[inline(never)]
    fn look_at_bank(&self, bank: usize, pending: u32, drained: &mut Drained) {
        if drained.rvi == 0 {
            drained.rvi = bank.to_le_bytes()[0] << 5 | pending.ilog2().to_le_bytes()[0];
        }
        let seen = &self.control.seen[bank % VECTOR_BANKS];
        let new = pending & !seen.load(Ordering::Relaxed);
        seen.store(pending, Ordering::Relaxed);
        // Last, so that the rare sum of many is a jump and not a call.
        if new & new.wrapping_sub(1) == 0 {
            drained.relayed += u32::from(new != 0);
        } else {
            drained.add_many_relayed(new);
        }
    }

    #[inline]
    fn count(&self, drained: &Drained) {
        add(&self.counters.relayed, drained.relayed);
        if drained.merged != 0 {
            add(&self.counters.merged, drained.merged);
        }
        if drained.spurious != 0 {
            self.counters.count_spurious(drained.spurious);
        }
    }

    /// Remembers what L2 left pending, so that the next drain knows what is new.
    #[inline]
    pub(crate) fn note_virr(&self) {
        for bank in 0..VECTOR_BANKS {
            let pending = self.page.read_bank(Register::IRR, bank);
            self.control.seen[bank].store(pending, Ordering::Relaxed);
        }
    }
}

impl Drained {
    #[inline(never)]
    fn add_many_relayed(&mut self, bits: u32) {
        self.relayed += bits.count_ones();
    }
}

/// Takes the bits of a word that others write; does not write it if there are none.
#[inline]
fn take(word: &AtomicU32) -> u32 {
    if word.load(Ordering::SeqCst) == 0 { 0 } else { word.swap(0, Ordering::SeqCst) }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
