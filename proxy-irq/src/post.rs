// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a vector of L2 pending: from the owner's interrupt handler, or from anywhere else.
//!
//! # Orderings
//! Interrupt handler and main context of one CPU see each other's accesses in program order, and
//! neither runs inside the other's steps: handlers do not nest (interrupt gates leave IF=0) and main
//! context touches banks, VIRR and dirty flag with IF=0 only. Hence in `on_posted` a load and a store
//! are enough where two CPUs would need a locked OR. Its load of the slot is an Acquire, which costs
//! nothing, and pairs with the Release in `map.rs`: whoever takes the bit out of the forward bank finds
//! the table entry that was written before the slot.
//!
//! A remote post sets the bit first and looks at the flag second. If the flag was set already, whoever
//! set it sees to the kick, and the owner, which clears the flag before it reads the banks, will find
//! the bit: two words, each written by one side and then read by the other, so both accesses of both
//! sides are SeqCst (the other side is `drain.rs`). Otherwise the flag is set, by a read-modify-write:
//! after a plain store, a request of the control plane could be lost. The look at the owner's state is
//! the poster's half of the argument in `enter_state.rs`. On x86 a locked OR is a full barrier and a
//! SeqCst load a plain one, so the short way has one locked instruction and no fence.

use crate::{
    block::RelayBlock,
    enter_state::{Kick, Work},
    reserved_vector::{L2Vector, Slot},
    slot::RemoteWord,
    sync::{Ordering, fence_under_loom},
};

impl RelayBlock {
    /// Takes an interrupt on the reserved vector of `slot`.
    ///
    /// Context: interrupt handler of the owner, IF=0, before the EOI. No branch, no loop, no lock.
    #[inline]
    pub fn on_posted(&self, slot: Slot) {
        let word = self.slot_word(slot);
        self.page.set(word.dword(), word.mask());
        self.control.dirty.store(1, Ordering::Relaxed);
    }

    /// Makes `vector` pending on behalf of a device whose interrupt arrived elsewhere: on another
    /// CPU, or as a message of the host. The owner's filter decides whether L2 gets it.
    ///
    /// Context: any CPU, interrupt handler or main context.
    #[inline]
    pub fn post_remote(&self, vector: L2Vector) -> Kick {
        self.post(RemoteWord::of_device(vector))
    }

    /// Makes `vector` pending on behalf of L2 itself (an IPI) or of L1's own emulation (a timer).
    /// The host has no part in it, so the filter does not apply.
    ///
    /// Context: any CPU, the owner included; interrupt handler or main context.
    #[inline]
    pub fn post_trusted(&self, vector: L2Vector) -> Kick {
        self.post(RemoteWord::trusted(vector))
    }

    /// Makes pending what `word` says: for callers that post one vector to many CPUs, or the same one
    /// again and again.
    ///
    /// Context: any CPU, interrupt handler or main context.
    #[inline]
    pub fn post(&self, word: RemoteWord) -> Kick {
        self.remote.0[word.dword()].fetch_or(word.mask(), Ordering::SeqCst);
        fence_under_loom();
        if self.remote_pending().load(Ordering::SeqCst) & Work::REMOTE.bits() != 0 {
            return Kick::NotNeeded;
        }
        self.announce_remote()
    }

    /// Says that a remote bank has a bit. Not the short way: another CPU has just drained.
    #[cold]
    fn announce_remote(&self) -> Kick {
        self.remote_pending().fetch_or(Work::REMOTE.bits(), Ordering::SeqCst);
        self.must_kick()
    }
}
