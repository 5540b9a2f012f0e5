// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking the owner of a block to change it, and knowing when it has.
//!
//! A mapping in use is changed by its owner alone, in main context. Interrupt handlers do not nest and
//! never run the owner's loop, so while the loop runs no handler of that CPU is half done with the old
//! word, and every later one loads the new word. That is the whole proof that an unmapped slot relays
//! nothing any more; it needs no grace period and no fence of its own.
//!
//! Requests are bits, so the mailbox cannot overflow and needs no queue: 32 unmaps of one CPU are one
//! visit. What they change is read before the owner looks what has arrived ([`RelayBlock::service_after`]), so
//! that an interrupt which was sent before a request is never younger than that look. They are numbered, and the owner publishes the number up to which it has served, so a
//! request can be waited for by anyone, at any time, without the control plane's lock; and two owners
//! that wait for each other still serve each other's requests.
//!
//! # Orderings
//! A request writes its data, its bit, its number and the flag, in this order, each but the data by a
//! Release read-modify-write. The owner reads the number first and the bits afterwards, each with
//! Acquire: all bits up to that number are then visible, and a later one can only be served early.
//! (loom's read-modify-writes always see the newest value, so it cannot tell that last Acquire and its
//! Release from Relaxed ones; they stay, because the language can.)
//! The flag's own accesses are SeqCst for the sake of `enter_state.rs`.
//! `served` is stored with Release after the change and loaded with Acquire by [`Ticket::poll`].

use core::task::Poll;

use crate::{
    block::RelayBlock,
    enter_state::{Kick, Work},
    reserved_vector::{L2Vector, SLOTS, Slot},
    slot::{HELD_BANK, SlotWord, Target, VECTOR_BANKS},
    sync::Ordering,
};

/// A change that the owner of a block has been asked for.
///
/// Dropping it is harmless: the request stands, and the control plane sees its end by itself.
#[derive(Debug)]
#[must_use = "until it is ready, the owner may still act on the old state"]
pub struct Ticket<'a> {
    pub(crate) block: &'a RelayBlock,
    pub(crate) cpu: usize,
    pub(crate) number: u64,
    /// The slot that is out of use until the request is served.
    pub(crate) leaving: Option<Slot>,
}

/// What the owner was asked for, taken out of the mailbox.
#[derive(Debug)]
struct Requests {
    /// Up to which request this is all; `None` if some were put back.
    number: Option<u64>,
    slots: u32,
    wanted: [u64; SLOTS],
    mapped: u32,
    revoked: [u32; VECTOR_BANKS],
}

/// What a request is about to do to the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Nothing is taken out of it.
    Stays,
    /// A vector is taken out of it.
    Shrinks,
}

/// What has arrived on a CPU before it executes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The dword of L1's IRR that holds the reserved block.
    pub reserved_irr: u32,
    /// Whether the messages of the host were taken.
    pub messages: Messages,
}

/// Whether messages of the host are left that may be older than a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messages {
    /// There are none.
    Taken,
    /// There may be.
    Left,
}

impl Ticket<'_> {
    /// Returns whether the owner has made the change. Once ready, it stays so.
    ///
    /// Context: anywhere but in an interrupt handler; not while holding the control plane's lock in a
    /// loop, and not without serving the caller's own block between two calls.
    pub fn poll(&self) -> Poll<()> {
        if self.block.has_served(self.number) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns whether the owner must be interrupted to see the request.
    pub fn kick(&self) -> Kick {
        match self.poll() {
            Poll::Ready(()) => Kick::NotNeeded,
            Poll::Pending => self.block.must_kick(),
        }
    }

    /// Returns the index of the CPU whose owner is asked.
    #[must_use]
    pub const fn cpu(&self) -> usize {
        self.cpu
    }
}

impl RelayBlock {
    /// Executes what the control plane has asked of this block's owner.
    ///
    /// Context: owner, main context, IF=0, in every turn of the loop around L2 and of any loop that
    /// waits for a [`Ticket`]. `reserved_irr` is called only if there is something to do and returns
    /// the dword of L1's IRR that holds the reserved block.
    #[inline]
    pub fn service(&self, reserved_irr: impl FnOnce() -> u32) {
        if self.remote_pending().load(Ordering::Relaxed) & Work::MAILBOX.bits() != 0 {
            self.serve(reserved_irr);
        }
    }

    /// Executes requests as [`service`](Self::service) does, but none before what was sent ahead of it
    /// has arrived.
    ///
    /// `arrived` is called once the requests are known. It says which reserved vectors pend in L1, and
    /// brings to [`post_remote`](Self::post_remote) what the host has asked for by messages, if the filter is about
    /// to shrink. A slot whose vector pends stays as it is, and so does a filter for which messages are left; the
    /// request stands then, and the caller lets interrupts through before it comes again.
    ///
    /// Context: as [`service`](Self::service).
    #[inline]
    pub fn service_after(&self, arrived: impl FnOnce(Filter) -> Arrived) {
        if self.remote_pending().load(Ordering::Relaxed) & Work::MAILBOX.bits() != 0 {
            self.serve_after(arrived);
        }
    }

    #[cold]
    fn serve(&self, reserved_irr: impl FnOnce() -> u32) {
        let asked = self.take_requests();
        self.execute(&asked, reserved_irr());
    }

    #[cold]
    fn serve_after(&self, arrived: impl FnOnce(Filter) -> Arrived) {
        let mut asked = self.take_requests();
        let shrinks = asked.revoked.iter().any(|bits| *bits != 0);
        let Arrived { reserved_irr, messages } =
            arrived(if shrinks { Filter::Shrinks } else { Filter::Stays });
        self.put_back(&mut asked, reserved_irr, messages);
        self.execute(&asked, reserved_irr);
    }

    fn take_requests(&self) -> Requests {
        self.remote_pending().fetch_and(!Work::MAILBOX.bits(), Ordering::SeqCst);
        let number = self.mailbox.requested.load(Ordering::Acquire);
        let slots = self.mailbox.slots.swap(0, Ordering::Acquire);
        let mut wanted = [0; SLOTS];
        for slot in Slot::in_bits(slots) {
            wanted[slot.index()] = self.mailbox.wanted[slot.index()].load(Ordering::Relaxed);
        }
        let mapped = self.mailbox.mapped.swap(0, Ordering::Acquire);
        let mut revoked = [0; VECTOR_BANKS];
        for (bits, word) in revoked.iter_mut().zip(&self.mailbox.revoked) {
            if word.load(Ordering::Relaxed) != 0 {
                *bits = word.swap(0, Ordering::Acquire);
            }
        }
        Requests { number: Some(number), slots, wanted, mapped, revoked }
    }

    /// Leaves for the next time what must not be done before something else has arrived.
    fn put_back(&self, asked: &mut Requests, reserved_irr: u32, messages: Messages) {
        let late = asked.slots & reserved_irr;
        if late != 0 {
            asked.slots &= !late;
            asked.number = None;
            self.mailbox.slots.fetch_or(late, Ordering::Release);
        }
        if messages == Messages::Left {
            for (bits, word) in asked.revoked.iter_mut().zip(&self.mailbox.revoked) {
                if *bits != 0 {
                    word.fetch_or(core::mem::take(bits), Ordering::Release);
                    asked.number = None;
                }
            }
        }
        if asked.number.is_none() {
            self.remote_pending().fetch_or(Work::MAILBOX.bits(), Ordering::SeqCst);
        }
    }

    fn execute(&self, asked: &Requests, reserved_irr: u32) {
        let Requests { number, slots, wanted, mapped, revoked } = asked;
        for slot in Slot::in_bits(*slots) {
            self.adopt(slot, SlotWord::from_raw(wanted[slot.index()]));
        }
        if slots | mapped != 0 {
            self.redirect(slots | mapped);
        }
        Slot::in_bits(*slots).for_each(|slot| self.settle_held(slot));
        self.withdraw(revoked);
        if let Some(number) = number {
            self.mailbox.reserved_irr.store(reserved_irr, Ordering::Relaxed);
            self.mailbox.served.store(*number, Ordering::Release);
        }
    }

    /// Asks the owner to give `slot` a new word. Control plane only.
    pub(crate) fn request_slot(&self, slot: Slot, word: SlotWord) -> u64 {
        self.mailbox.wanted[slot.index()].store(word.raw(), Ordering::Relaxed);
        self.mailbox.slots.fetch_or(slot.bit(), Ordering::Release);
        self.request()
    }

    /// Tells the owner that `slot` was mapped, so that it may give it a better word; there is no
    /// hurry. Control plane only.
    pub(crate) fn request_redirection(&self, slot: Slot) {
        self.mailbox.mapped.fetch_or(slot.bit(), Ordering::Release);
        self.request();
    }

    /// Asks the owner to take `vector` out of the filter. Control plane only.
    pub(crate) fn request_revocation(&self, vector: L2Vector) -> u64 {
        self.mailbox.revoked[vector.bank()].fetch_or(vector.mask(), Ordering::Release);
        self.request()
    }

    /// Asks the owner to look at L1's IRR once more. Control plane only.
    pub(crate) fn request(&self) -> u64 {
        let number = self.mailbox.requested.fetch_add(1, Ordering::Release) + 1;
        self.remote_pending().fetch_or(Work::MAILBOX.bits(), Ordering::SeqCst);
        number
    }

    /// Returns the reserved vectors that were pending in L1 when the owner last served a request.
    /// To be read after [`has_served`](Self::has_served).
    pub(crate) fn reserved_irr(&self) -> u32 {
        self.mailbox.reserved_irr.load(Ordering::Relaxed)
    }

    /// Returns whether the owner has executed request `number`.
    pub(crate) fn has_served(&self, number: u64) -> bool {
        self.mailbox.served.load(Ordering::Acquire) >= number
    }

    /// Gives `slot` the word that is wanted for it.
    fn adopt(&self, slot: Slot, word: SlotWord) {
        if matches!(word.target(), Some(Target::Banked(_))) {
            self.announce_banked(slot);
        }
        self.slots[slot.index()].store(word.raw(), Ordering::Relaxed);
        if !matches!(word.target(), Some(Target::Banked(_))) {
            self.withdraw_banked(slot);
        }
    }

    /// Settles what was held while `slot` was masked.
    fn settle_held(&self, slot: Slot) {
        let word = self.slot_word(slot);
        let target = word.target();
        if matches!(target, Some(Target::Held(_))) {
            return;
        }
        let held = self.page.take(HELD_BANK);
        let is_unmapped = matches!(target, Some(Target::Unmapped(_)) | None);
        if held & slot.bit() != 0 && !is_unmapped {
            self.page.set(word.dword(), word.mask());
            self.control.dirty.store(1, Ordering::Relaxed);
        }
        self.page.set(HELD_BANK, held & !slot.bit());
    }

    /// Shrinks the filter, after letting in what was posted while it was wider.
    fn withdraw(&self, revoked: &[u32; VECTOR_BANKS]) {
        if revoked.iter().all(|bits| *bits == 0) {
            return;
        }
        self.add_to_virr(|| self.admit_remote());
        self.make_drain_look_everywhere();
        for (allowed, bits) in self.mailbox.allowed.iter().zip(revoked) {
            if *bits != 0 {
                allowed.fetch_and(!bits, Ordering::Relaxed);
            }
        }
    }
}
