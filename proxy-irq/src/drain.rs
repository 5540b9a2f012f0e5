// SPDX-License-Identifier: MIT OR Apache-2.0
//! From pending bits to L2's virtual APIC: the last step before an entry into L2.
//!
//! Remote bits pass the filter and join the owner's banks; banks are ORed into the VIRR a dword at a
//! time. The cost does not depend on how many vectors pend, and a word is written only if it was seen
//! not to be zero, so an idle drain takes no line away from anyone.
//!
//! The RVI is the higher of what the processor saved at the last exit and what is posted now: the
//! VIRR is never searched. The TDX module does not look at it either, so the RVI that is returned here
//! must reach the next `TDG.VP.ENTER`.
//!
//! # Orderings
//! `remote_pending` is cleared, with Acquire, *before* the banks are read. Whatever was posted before
//! the flag that is cleared here is visible by that Acquire (pairs with the Release in `post.rs`);
//! whatever is posted later sets the flag again. The banks themselves are Relaxed.
//!
//! Spec: SDM "Virtual-Interrupt Delivery".

use crate::{
    block::RelayBlock,
    counters::add,
    enter_state::Work,
    reserved_vector::L2Vector,
    slot::{SPURIOUS_BANK, VECTOR_BANKS},
    sync::{AtomicU32, Ordering},
    virtual_apic::VirtualApicPage,
};

/// What a drain has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "the RVI must be in the guest state of the next TDG.VP.ENTER"]
pub struct Drained {
    /// The RVI to enter L2 with.
    pub rvi: u8,
    /// Slots that took an interrupt while they mapped to nothing; to be warned about, rarely.
    pub spurious: u32,
    /// How many vectors were made pending that had not been.
    pub relayed: u32,
    /// How many vectors were found already pending in the virtual APIC.
    pub merged: u32,
}

impl RelayBlock {
    /// Moves everything that pends into the virtual APIC of L2 on this CPU.
    ///
    /// Context: owner, main context, IF=0 from here to `TDG.VP.ENTER`. `saved_rvi` is the RVI that
    /// the last exit from L2 returned, or that of the last drain if there was no entry since.
    pub fn drain(&self, apic: &VirtualApicPage, saved_rvi: u8) -> Drained {
        let mut drained = Drained { rvi: saved_rvi, ..Drained::default() };
        self.admit_remote();
        if self.control.dirty.load(Ordering::Relaxed) == 0 {
            return drained;
        }
        self.control.dirty.store(0, Ordering::Relaxed);
        for bank in 0..VECTOR_BANKS {
            let bits = self.take_bank(bank);
            if bits != 0 {
                drained.merge(apic, bank, bits);
            }
        }
        drained.spurious = self.take_bank(SPURIOUS_BANK);
        self.count(&drained);
        drained
    }

    /// Moves remote bits that the filter lets pass into the banks. Context: owner, IF=0.
    pub(crate) fn admit_remote(&self) {
        let pending = &self.control.remote_pending;
        if pending.load(Ordering::Relaxed) & Work::REMOTE.bits() == 0 {
            return;
        }
        pending.fetch_and(!Work::REMOTE.bits(), Ordering::Acquire);
        for bank in 0..VECTOR_BANKS {
            let bits = self.take_allowed(bank) | take(&self.remote.trusted[bank]);
            if bits != 0 {
                let added = bits & !self.banks[bank].load(Ordering::Relaxed);
                add(&self.counters.remote, added.count_ones());
                self.set_in_bank(bank, bits);
                self.control.dirty.store(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes the device bits of one remote bank and drops those that L2 has not configured here.
    fn take_allowed(&self, bank: usize) -> u32 {
        let bits = take(&self.remote.device[bank]);
        if bits == 0 {
            return 0;
        }
        let allowed = self.mailbox.allowed[bank].load(Ordering::Relaxed);
        if bits & !allowed != 0 {
            self.counters.count_filtered(bank, bits & !allowed);
        }
        bits & allowed
    }
}

impl RelayBlock {
    fn count(&self, drained: &Drained) {
        add(&self.counters.relayed, drained.relayed);
        add(&self.counters.merged, drained.merged);
        if drained.spurious != 0 {
            self.counters.count_spurious(drained.spurious);
        }
    }
}

impl Drained {
    /// Makes the vectors `bits` of `bank` pending, the whole dword at once.
    fn merge(&mut self, apic: &VirtualApicPage, bank: usize, bits: u32) {
        let merged = apic.request_edges(bank, bits);
        self.merged += merged.count_ones();
        self.relayed += (bits & !merged).count_ones();
        if let Some(highest) = L2Vector::from_bank(bank, bits.ilog2()) {
            self.rvi = self.rvi.max(highest.get());
        }
    }
}

/// Takes the bits of a word that others write; does not write it if there are none.
#[inline]
fn take(word: &AtomicU32) -> u32 {
    if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::Relaxed) }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
