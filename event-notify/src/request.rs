// SPDX-License-Identifier: MIT OR Apache-2.0
//! Something the host was asked for, whose answer lies in memory that the host writes.
//!
//! ```text
//!  FREE ─claim─▶ HELD ─sent─▶ FLYING ─look─▶ DONE ─release─▶ FREE
//!                 └─release─▶ FREE  └─give_up─▶ LOST ─look─▶ FREE
//! ```
//!
//! The owner claims it, fills the memory in, asks the host, says `sent` and then looks once itself: the
//! host may have answered at once. From then on, whoever takes a notification looks. One look finds the
//! answer; the owner takes it and releases the request. An owner that has waited long enough gives it up;
//! the memory is still the host's until the host says that it is done with it, which a later look finds.
//!
//! # Orderings
//! One word. Its generation changes with each release, so a look that began in one life of the request
//! cannot end another one.
//!
//! Two flags that each side sets before it reads the other's: the owner `FLYING`, the host its status. A
//! SeqCst fence stands between write and read at the owner; at the host's side it is the interrupt that
//! it sends. So either the owner's look finds the answer, or the notification's look finds `FLYING`.
//! `FLYING` is stored with Release, `DONE` with AcqRel, and both are loaded with Acquire: who looks sees
//! where the answer lies, and the owner what the look saw.

use crate::sync::{AtomicU64, Ordering, const_unless_loom, fence};

const STATE: u64 = 0xff;
const FREE: u64 = 0;
const HELD: u64 = 1;
const FLYING: u64 = 2;
const DONE: u64 = 3;
const LOST: u64 = 4;

const OWNER_SHIFT: u32 = 8;
const OWNER: u64 = 0xff << OWNER_SHIFT;
const GENERATION: u64 = 1 << 16;

/// A request, and its place.
#[derive(Debug)]
pub struct Request(AtomicU64);

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing that is new.
    Nothing,
    /// The answer; this CPU waits for it.
    Answer(u8),
    /// The answer to a request that was given up; its place is free again.
    Stray,
}

/// It was answered just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

impl Request {
    const_unless_loom! {
        /// A place that is free.
        pub fn new() -> Self { Self(AtomicU64::new(FREE)) }
    }

    /// Takes the place for CPU `owner`, if it is free.
    pub fn claim(&self, owner: u8) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        let held = word & !(STATE | OWNER) | u64::from(owner) << OWNER_SHIFT | HELD;
        word & STATE == FREE
            && self.0.compare_exchange(word, held, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The host has taken it on. The owner looks next. Context: the owner, after [`Self::claim`].
    pub fn sent(&self) {
        self.sent_with(|| fence(Ordering::SeqCst));
    }

    /// As [`Self::sent`], with what stands between the word and the owner's look.
    pub(crate) fn sent_with(&self, between: impl FnOnce()) {
        // Nobody else changes a word that is held.
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word & !STATE | FLYING, Ordering::Release);
        between();
    }

    /// Looks whether the host is done, if anybody is to know. Context: anywhere.
    pub fn look(&self, is_done: impl FnOnce() -> bool) -> Look {
        let word = self.0.load(Ordering::Acquire);
        if !matches!(word & STATE, FLYING | LOST) || !is_done() {
            return Look::Nothing;
        }
        match word & STATE {
            FLYING if self.advance(word, word & !STATE | DONE) => {
                Look::Answer(u8::try_from((word & OWNER) >> OWNER_SHIFT).unwrap_or(u8::MAX))
            }
            LOST if self.advance(word, Self::freed(word)) => Look::Stray,
            _ => Look::Nothing,
        }
    }

    /// Whether the answer is there and `owner` has not taken it.
    #[must_use]
    pub fn is_answered(&self, owner: u8) -> bool {
        let word = self.0.load(Ordering::Acquire);
        word & (STATE | OWNER) == DONE | u64::from(owner) << OWNER_SHIFT
    }

    /// Whether nobody has the place, the host included.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.0.load(Ordering::Acquire) & STATE == FREE
    }

    /// The owner waits no longer. It looks once more afterwards: a look elsewhere may have come in between.
    ///
    /// # Errors
    /// It was answered just now.
    pub fn give_up(&self) -> Result<(), Late> {
        let word = self.0.load(Ordering::Acquire);
        let is_lost = word & STATE == FLYING && self.advance(word, word & !STATE | LOST);
        if is_lost { Ok(()) } else { Err(Late) }
    }

    /// The owner has what it wanted, or the host has refused. Context: the owner, of a request that is
    /// answered, or held and not sent.
    pub fn release(&self) {
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(Self::freed(word), Ordering::Release);
    }

    fn advance(&self, from: u64, to: u64) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    const fn freed(word: u64) -> u64 {
        (word & !(STATE | OWNER)).wrapping_add(GENERATION)
    }
}

#[cfg(not(loom))]
impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Late, Look, Request};

    #[test]
    fn an_answer_is_found_once_and_taken_by_its_owner() {
        let request = Request::new();
        assert!(request.claim(3) && !request.claim(4));
        assert_eq!(request.look(|| true), Look::Nothing);
        request.sent();
        assert_eq!(request.look(|| false), Look::Nothing);
        assert!(!request.is_answered(3));
        assert_eq!(request.look(|| true), Look::Answer(3));
        assert_eq!(request.look(|| true), Look::Nothing);
        assert!(request.is_answered(3) && !request.is_answered(4));
        assert_eq!(request.give_up(), Err(Late));
        request.release();
        assert!(request.claim(4));
    }

    #[test]
    fn the_place_of_a_lost_request_is_the_hosts_until_it_is_done() {
        let request = Request::new();
        assert!(request.claim(0));
        request.sent();
        assert_eq!(request.give_up(), Ok(()));
        assert!(!request.claim(1));
        assert_eq!(request.look(|| false), Look::Nothing);
        assert_eq!(request.look(|| true), Look::Stray);
        assert!(!request.is_answered(0) && request.claim(1));
    }

    #[test]
    fn a_look_that_began_in_an_earlier_life_ends_nothing() {
        let request = Request::new();
        assert!(request.claim(0));
        request.sent();
        let found = request.look(|| {
            // Elsewhere it is found, taken and asked anew meanwhile.
            assert_eq!(request.look(|| true), Look::Answer(0));
            request.release();
            assert!(request.claim(0));
            request.sent();
            true
        });
        assert_eq!(found, Look::Nothing);
        assert!(!request.is_answered(0));
    }

    #[test]
    fn what_the_host_refuses_is_free_again() {
        let request = Request::new();
        assert!(request.claim(7));
        request.release();
        assert!(request.claim(7));
    }
}

#[cfg(all(test, loom))]
mod models;
