// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a vector of L2 pending: from the owner's interrupt handler, or from anywhere else.
//!
//! # Orderings
//! `on_posted` is all Relaxed. Interrupt handler and main context of one CPU see each other's
//! accesses in program order, and neither runs inside the other's steps: handlers do not nest
//! (interrupt gates leave IF=0) and main context touches banks and dirty flag with IF=0 only. Hence
//! load and store are enough where two CPUs would need a locked OR. The slot load needs no Acquire,
//! because nothing else is read on the strength of it.
//!
//! The remote posts set the bit first and the flag second. The flag is set by a read-modify-write
//! with Release, pairing with the Acquire in `drain.rs`: with a plain store, a second poster would cut
//! the first one's release sequence, and the owner could clear the flag without seeing the first bit.

use crate::{
    block::RelayBlock,
    enter_state::{Kick, Work},
    reserved_vector::{L2Vector, Slot},
    sync::{AtomicU32, Ordering},
};

impl RelayBlock {
    /// Takes an interrupt on the reserved vector of `slot`.
    ///
    /// Context: interrupt handler of the owner, IF=0, before the EOI. No branch, no loop, no lock.
    #[inline]
    pub fn on_posted(&self, slot: Slot) {
        let word = self.slot_word(slot);
        self.set_in_bank(word.bank(), word.mask());
        self.control.dirty.store(1, Ordering::Relaxed);
    }

    /// Makes `vector` pending on behalf of a device whose interrupt arrived elsewhere: on another
    /// CPU, or as a message of the host. The owner's filter decides whether L2 gets it.
    ///
    /// Context: any CPU, interrupt handler or main context.
    #[inline]
    pub fn post_remote(&self, vector: L2Vector) -> Kick {
        self.post_to(&self.remote.device[vector.bank()], vector)
    }

    /// Makes `vector` pending on behalf of L2 itself (an IPI) or of L1's own emulation (a timer).
    /// The host has no part in it, so the filter does not apply.
    ///
    /// Context: any CPU, the owner included; interrupt handler or main context.
    #[inline]
    pub fn post_trusted(&self, vector: L2Vector) -> Kick {
        self.post_to(&self.remote.trusted[vector.bank()], vector)
    }

    #[inline]
    fn post_to(&self, bank: &AtomicU32, vector: L2Vector) -> Kick {
        bank.fetch_or(vector.mask(), Ordering::Relaxed);
        self.control.remote_pending.fetch_or(Work::REMOTE.bits(), Ordering::Release);
        self.must_kick()
    }
}
