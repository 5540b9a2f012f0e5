// SPDX-License-Identifier: MIT OR Apache-2.0
//! From pending bits to L2's virtual APIC: the last step before an entry into L2.
//!
//! What was posted directly is in the VIRR already: all that is left is to count it and to find the RVI,
//! and while all direct slots post into one dword, as they mostly do, that dword is all there is to look
//! at. Only if other contexts have posted, or a slot posts into a bank, the drain looks everywhere:
//! remote bits pass the filter, banks are ORed into the VIRR a dword at a time. The cost does not depend
//! on how many vectors pend, and a word of other CPUs is written only if it was seen not to be zero, so
//! an idle drain takes no line away from anyone.
//!
//! The RVI is the higher of what the processor saved at the last exit and the highest vector of the
//! VIRR. The TDX module does not look at the VIRR, so the RVI that is returned here must reach the next
//! `TDG.VP.ENTER`.
//!
//! The interrupt path counts nothing, and the drain only writes down how many vectors pend. When L2 was
//! left again ([`RelayBlock::resume`]) those that it had left pending before are taken off: until an entry
//! vectors are only added, so the rest was posted. Interrupts on one vector that still pends are one,
//! here as in L2.
//!
//! # Orderings
//! The flag is cleared *before* the banks are read, both SeqCst, against a poster that writes its bit
//! before it looks at the flag (`post.rs`): it sees the flag cleared and sets it again, or its bit is
//! found here. The clearing also has to be a read-modify-write, for the other bits' sake. That a slot
//! may post into a bank is announced before the slot's word is stored with Release (`redirect.rs`), and
//! the handler loads the word with Acquire, so whoever finds a bank's dirty flag set finds the
//! announcement. Everything else is the owner's own and Relaxed.
//!
//! Spec: SDM "Virtual-Interrupt Delivery".

use core::sync::atomic::AtomicU64 as Figure;

use crate::{
    block::{Control, RelayBlock},
    counters::add,
    enter_state::{BANKED, LOOK_EVERYWHERE, Work},
    redirect::Levels,
    slot::{FORWARD_BANK, SPURIOUS_BANK, VECTOR_BANKS, vector_bank},
    sync::{AtomicU32, Ordering, fence_under_loom},
    virtual_apic::Pending,
};

/// What a drain has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the RVI must be in the guest state of the next TDG.VP.ENTER"]
pub struct Drained {
    /// The RVI to enter L2 with.
    pub rvi: u8,
    /// Whether slots have taken interrupts that are not for L2 on this CPU:
    /// [`RelayBlock::take_aside`].
    pub aside: bool,
}

/// Interrupts that were not for L2 on this CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "what is forwarded is lost if nobody passes it on"]
pub struct Aside {
    /// Slots that took an interrupt while they mapped to nothing; to be warned about, rarely.
    pub spurious: u32,
    /// Slots whose interrupt belongs to another CPU: [`RelayBlock::forward`].
    pub forwarded: u32,
}

impl RelayBlock {
    /// Moves everything that pends into the virtual APIC of L2 on this CPU.
    ///
    /// Context: owner, main context, IF=0 from here to `TDG.VP.ENTER`. `saved_rvi` is the RVI that
    /// the last exit from L2 returned, or that of the last drain if there was no entry since.
    #[inline]
    pub fn drain(&self, saved_rvi: u8) -> Drained {
        let dirty = self.control.dirty.load(Ordering::Relaxed);
        let remote = self.remote_pending().load(Ordering::Relaxed);
        if dirty | remote == 0 {
            return Drained { rvi: saved_rvi, aside: false };
        }
        if remote & LOOK_EVERYWHERE == 0 {
            self.drain_posted(saved_rvi)
        } else {
            self.drain_everything(saved_rvi)
        }
    }

    /// As [`drain`](Self::drain), but `None` if anybody else has left something: that is to be seen to
    /// before. What the owner looks at first before each entry.
    ///
    /// Context: as [`drain`](Self::drain).
    #[inline]
    pub fn drain_if_left_alone(&self, saved_rvi: u8) -> Option<Drained> {
        if self.remote_pending().load(Ordering::Relaxed) != 0 {
            return None;
        }
        if self.control.dirty.load(Ordering::Relaxed) == 0 {
            return Some(Drained { rvi: saved_rvi, aside: false });
        }
        Some(self.drained(saved_rvi, self.look()))
    }

    /// Takes what was set aside, and counts it. Context: as [`drain`](Self::drain).
    pub fn take_aside(&self) -> Aside {
        let spurious = self.page.take(SPURIOUS_BANK);
        if spurious != 0 {
            self.counters.count_spurious(spurious);
        }
        Aside { spurious, forwarded: self.take_forwarded() }
    }

    /// The short way: all that is new was posted by this CPU's slots into the VIRR.
    #[inline]
    fn drain_posted(&self, saved_rvi: u8) -> Drained {
        match self.control.only.load(Ordering::Relaxed) {
            0 => self.drain_several(saved_rvi),
            dword => self.drained(saved_rvi, self.look_into(dword)),
        }
    }

    /// The short way where slots post into several dwords.
    #[inline(never)]
    fn drain_several(&self, saved_rvi: u8) -> Drained {
        self.drained(saved_rvi, self.page.pending())
    }

    #[inline]
    fn drained(&self, saved_rvi: u8, pending: Pending) -> Drained {
        self.control.dirty.store(0, Ordering::Relaxed);
        self.control.found.store(pending.count, Ordering::Relaxed);
        let [rvi, ..] = pending.highest.max(saved_rvi.into()).to_le_bytes();
        Drained { rvi, aside: self.has_aside() }
    }

    #[cold]
    fn drain_everything(&self, saved_rvi: u8) -> Drained {
        self.control.dirty.store(0, Ordering::Relaxed);
        self.add_to_virr(|| {
            let levels = self.admit_remote();
            let banked = self.remote_pending().load(Ordering::Relaxed) & BANKED != 0;
            if banked { levels.max(self.empty_vector_banks()) } else { levels }
        });
        Drained { rvi: self.page.rvi().max(saved_rvi), aside: self.has_aside() }
    }

    /// Lets `change` make vectors pending, which are no direct posts and are not counted as such.
    ///
    /// Context: owner, IF=0.
    pub(crate) fn add_to_virr(&self, change: impl FnOnce() -> Levels) {
        self.control.found.store(self.look().count, Ordering::Relaxed);
        let levels = change();
        self.settle_posted();
        if levels == Levels::Ended {
            self.redirect(!0);
        }
    }

    /// Makes pending what other contexts posted and the filter lets pass. Within
    /// [`add_to_virr`](Self::add_to_virr).
    pub(crate) fn admit_remote(&self) -> Levels {
        let mut levels = Levels::Unchanged;
        let pending = self.remote_pending();
        if pending.load(Ordering::Relaxed) & Work::REMOTE.bits() == 0 {
            return levels;
        }
        pending.fetch_and(!Work::REMOTE.bits(), Ordering::SeqCst);
        fence_under_loom();
        for bank in 0..VECTOR_BANKS {
            let (device, trusted) = self.take_remote(bank);
            let bits = self.filter(bank, device) | trusted;
            if bits != 0 {
                levels = levels.max(self.make_pending(bank, bits, &self.counters.remote));
            }
        }
        levels
    }

    /// Takes what was posted for devices and for L2 itself: [`RemoteWord`](crate::slot::RemoteWord).
    fn take_remote(&self, bank: usize) -> (u32, u32) {
        let bits = take(&self.remote.0[bank]);
        if bank == 0 {
            return (bits & 0xffff_0000, bits << 16);
        }
        (bits, take(&self.remote.0[VECTOR_BANKS + bank]))
    }

    /// Drops the bits that L2 has not configured here.
    fn filter(&self, bank: usize, bits: u32) -> u32 {
        if bits == 0 {
            return 0;
        }
        let allowed = self.mailbox.allowed[bank].load(Ordering::Relaxed);
        if bits & !allowed != 0 {
            self.counters.count_filtered(bank, bits & !allowed);
        }
        bits & allowed
    }

    /// Moves what waits in the banks to the VIRR, a dword at a time. Within
    /// [`add_to_virr`](Self::add_to_virr).
    pub(crate) fn empty_vector_banks(&self) -> Levels {
        let mut levels = Levels::Unchanged;
        for bank in 0..VECTOR_BANKS {
            let bits = self.page.take(vector_bank(bank));
            if bits != 0 {
                levels = levels.max(self.make_pending(bank, bits, &self.control.posted));
            }
        }
        levels
    }

    /// Makes the vectors `bits` of `bank` pending and counts them in `figure`.
    #[inline]
    fn make_pending(&self, bank: usize, bits: u32, figure: &Figure) -> Levels {
        add(figure, bits.count_ones());
        let (merged, levels) = self.request_bank(bank, bits);
        if merged != 0 {
            add(&self.counters.merged, merged.count_ones());
        }
        levels
    }

    /// Looks where direct slots post.
    #[inline]
    fn look(&self) -> Pending {
        match self.control.only.load(Ordering::Relaxed) {
            0 => self.look_everywhere(),
            dword => self.look_into(dword),
        }
    }

    #[inline(never)]
    fn look_everywhere(&self) -> Pending {
        self.page.pending()
    }

    #[inline]
    fn look_into(&self, dword: u32) -> Pending {
        self.page.pending_in(dword as usize, self.control.first.load(Ordering::Relaxed))
    }

    /// Chooses where direct slots post: into dword `only`, or, if that is 0, into several.
    ///
    /// Context: owner, IF=0; the next drain must look everywhere.
    pub(crate) fn look_at(&self, only: u32) {
        self.control.found.store(self.look().count, Ordering::Relaxed);
        self.control.only.store(only, Ordering::Relaxed);
        // The dwords of the VIRR lie four apart, and have 32 vectors each.
        self.control.first.store(only * 8 % 256, Ordering::Relaxed);
        self.settle_posted();
    }

    /// Adds what was found to the figure, and begins anew with what pends now: L2 was left, or somebody
    /// else than a slot has made vectors pending.
    #[inline]
    pub(crate) fn settle_posted(&self) {
        add(&self.control.posted, self.found_since());
        let count = self.look().count;
        self.control.left.store(count, Ordering::Relaxed);
        self.control.found.store(count, Ordering::Relaxed);
    }

    /// Returns how many vectors were posted by this CPU's own slots.
    pub(crate) fn posted(&self) -> u64 {
        self.control.posted.load(Ordering::Relaxed).wrapping_add(self.found_since().into())
    }

    /// Returns what was found since L2 was left. Until the next entry, vectors are only added.
    #[inline]
    fn found_since(&self) -> u32 {
        let Control { found, left, .. } = &*self.control;
        found.load(Ordering::Relaxed).wrapping_sub(left.load(Ordering::Relaxed))
    }

    #[inline]
    fn has_aside(&self) -> bool {
        self.page.get(SPURIOUS_BANK) | self.page.get(FORWARD_BANK) != 0
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
