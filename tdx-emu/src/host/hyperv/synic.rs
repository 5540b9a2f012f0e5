// SPDX-License-Identifier: MIT OR Apache-2.0
//! The synthetic interrupt controller of one virtual CPU, from the host's side.
//!
//! A message that finds its slot taken waits, and the slot says so; the host looks again when the
//! TD writes EOM, and not before: a TD that forgets to is not helped. Interrupts for L2 do not wait one
//! by one: they are a set, of which the next message has all.
//!
//! # Orderings
//! - The type is stored with Release behind the rest of a message, which the TD reads after an Acquire.
//! - The bit that says that something waits is set before the slot is looked at once more, with a full
//!   fence between; the TD frees the slot before it looks at the bit. One of the two sees the other.
//! - A set of vectors is filled by interrupt handlers with Release and taken with Acquire.
//!
//! Spec: TLFS "Synthetic Interrupt Controller", "SynIC Message Page", "SynIC Event Flags Page".

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicU32, fence};

use vmbus::{
    SharedMemory,
    synic::{PageMsr, Scontrol, Sint},
};

#[cfg(target_os = "none")]
use alloc::collections::VecDeque;
#[cfg(not(target_os = "none"))]
use std::collections::VecDeque;

use super::guest::{Guest, PAGE, SHARED_BIT, is_shared};

/// Sources of a virtual CPU.
pub(crate) const SINTS: usize = 16;

/// Messages that wait for one source.
const WAITING: usize = 16;

/// Event flags of a source.
pub(crate) const FLAGS: u16 = 2048;

/// Most bytes that a message carries.
pub(crate) const MAX_PAYLOAD: usize = 240;

const SLOT: usize = 256;
const MESSAGE_PENDING: u32 = 1 << 8;

const SCONTROL: u32 = 0x4000_0080;
const SVERSION: u32 = 0x4000_0081;
const SIEFP: u32 = 0x4000_0082;
const SIMP: u32 = 0x4000_0083;
const EOM: u32 = 0x4000_0084;
const SINT0: u32 = 0x4000_0090;
const SINT15: u32 = 0x4000_009f;

/// Interrupts for L2.
const PROXY_INTERRUPT: u32 = 0x8001_000f;
const INTERCEPTION: usize = 0;

/// A message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    kind: u32,
    length: u8,
    payload: [u8; MAX_PAYLOAD],
}

impl Message {
    /// A message; `None` if it is too long.
    pub(crate) fn new(kind: u32, bytes: &[u8]) -> Option<Self> {
        let mut payload = [0; MAX_PAYLOAD];
        payload.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { kind, length: u8::try_from(bytes.len()).ok()?, payload })
    }

    /// Its payload.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.payload[..usize::from(self.length)]
    }

    /// Asks for interrupts of L2: one by its number, several as a set.
    fn proxy(vectors: [u32; 8]) -> Self {
        let count: u32 = vectors.iter().map(|word| word.count_ones()).sum();
        let mut message = Self { kind: PROXY_INTERRUPT, length: 36, payload: [0; MAX_PAYLOAD] };
        let (head, set) = message.payload.split_at_mut(4);
        let words = if count == 1 {
            let only = (0_u32..).zip(vectors).find(|(_, word)| *word != 0);
            let vector = only.map_or(0, |(index, word)| index * 32 + word.trailing_zeros());
            [vector, 0, 0, 0, 0, 0, 0, 0]
        } else {
            head[1] = 1;
            vectors
        };
        for (bytes, word) in set.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        message
    }
}

/// What became of a message or a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is there, or waits its turn.
    Accepted,
    /// Too many wait already.
    Full,
}

/// What became of an interrupt that is to be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It waits.
    AtOnce,
    /// The same one waited already, and the two are one now.
    Merged,
}

/// Interrupts that wait to be passed on. Interrupt handlers fill it.
#[derive(Debug, Default)]
pub(crate) struct ProxySet([AtomicU32; 8]);

impl ProxySet {
    /// None.
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; 8])
    }

    /// Adds one.
    pub(crate) fn add(&self, vector: u8) -> Added {
        let bit = 1 << (vector & 31);
        let before = self.0[usize::from(vector >> 5)].fetch_or(bit, Release);
        if before & bit == 0 { Added::AtOnce } else { Added::Merged }
    }

    /// Whether one of this number waits.
    pub(crate) fn contains(&self, vector: u8) -> bool {
        self.0[usize::from(vector >> 5)].load(Relaxed) >> (vector & 31) & 1 != 0
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| word.load(Relaxed) == 0)
    }

    fn take(&self) -> [u32; 8] {
        self.0.each_ref().map(|word| word.swap(0, Acquire))
    }
}

/// The controller.
#[derive(Debug)]
pub(crate) struct Synic {
    cpu: usize,
    scontrol: Scontrol,
    siefp: PageMsr,
    simp: PageMsr,
    sints: [Sint; SINTS],
    waiting: [VecDeque<Message>; SINTS],
    /// Sources, a bit each, whose slot says that something waits: nothing comes before the end of message.
    owed: u16,
}

impl Synic {
    /// The controller of a virtual CPU after a reset: off.
    pub(crate) fn new(cpu: usize) -> Self {
        Self {
            cpu,
            scontrol: Scontrol::new(),
            siefp: PageMsr::new(),
            simp: PageMsr::new(),
            sints: [Sint::MASKED; SINTS],
            waiting: [const { VecDeque::new() }; SINTS],
            owed: 0,
        }
    }

    /// Reads an MSR; `None` if it is none of the controller's.
    pub(crate) fn read(&self, msr: u32) -> Option<u64> {
        Some(match msr {
            SCONTROL => self.scontrol.into_bits(),
            SVERSION => 1,
            SIEFP => self.siefp.into_bits(),
            SIMP => self.simp.into_bits(),
            EOM => 0,
            SINT0..=SINT15 => self.sint((msr - SINT0) as usize)?.into_bits(),
            _ => return None,
        })
    }

    /// Writes an MSR; `None` if it is none of the controller's, or cannot have the value.
    pub(crate) fn write(
        &mut self,
        guest: impl Guest,
        proxied: &ProxySet,
        msr: u32,
        value: u64,
    ) -> Option<()> {
        match msr {
            SCONTROL => self.scontrol = Scontrol::from_bits(value),
            SIEFP => self.siefp = page(guest, value)?,
            SIMP => self.simp = page(guest, value)?,
            EOM => {}
            SINT0..=SINT15 => *self.sints.get_mut((msr - SINT0) as usize)? = sint(value)?,
            _ => return None,
        }
        if [EOM, SIMP, SCONTROL].contains(&msr) {
            self.owed = 0;
        }
        (0..SINTS).for_each(|sint| self.serve(guest, proxied, sint));
        Some(())
    }

    /// Sends a message to a source, or has it wait.
    pub(crate) fn send(&mut self, guest: impl Guest, sint: usize, message: Message) -> Delivery {
        let Some(waiting) = self.waiting.get_mut(sint) else { return Delivery::Full };
        if waiting.len() >= WAITING {
            return Delivery::Full;
        }
        waiting.push_back(message);
        self.serve_queue(guest, sint);
        Delivery::Accepted
    }

    /// Sends what waits to be passed on, if the slot is free.
    pub(crate) fn pass_on(&mut self, guest: impl Guest, proxied: &ProxySet) {
        if !proxied.is_empty() {
            self.serve(guest, proxied, INTERCEPTION);
        }
    }

    /// Whether the slot of the interceptions asks for this vector still, or the set does.
    pub(crate) fn asks_for(&self, guest: impl Guest, proxied: &ProxySet, vector: u8) -> bool {
        let mut slot = [0; 52];
        let read = |page: &[AtomicU32]| page.read(INTERCEPTION * SLOT, &mut slot);
        let there = self.simp.enable() && guest.with_page(address(self.simp), read).is_some();
        let (words, _) = slot.as_chunks::<4>();
        let [kind, _, _, _, form, set @ ..] = words else { return false };
        let in_slot = there
            && u32::from_le_bytes(*kind) == PROXY_INTERRUPT
            && match *form {
                [_, 0, ..] => set.first() == Some(&u32::from(vector).to_le_bytes()),
                _ => set
                    .get(usize::from(vector >> 5))
                    .is_some_and(|word| u32::from_le_bytes(*word) >> (vector & 31) & 1 != 0),
            };
        in_slot || proxied.contains(vector)
    }

    /// Sets an event flag and interrupts if it was clear.
    pub(crate) fn signal(&self, guest: impl Guest, sint: usize, flag: u16) {
        let Some(word) = usize::from(flag).checked_div(32).filter(|_| flag < FLAGS) else { return };
        if sint >= SINTS || !self.scontrol.enable() || !self.siefp.enable() {
            return;
        }
        let bit = 1 << (flag % 32);
        let set = |page: &[AtomicU32]| page.fetch_or(sint * SLOT + word * 4, bit, SeqCst);
        if guest.with_page(address(self.siefp), set).is_some_and(|before| before & bit == 0) {
            self.interrupt(guest, sint);
        }
    }

    fn sint(&self, index: usize) -> Option<Sint> {
        self.sints.get(index).copied()
    }

    fn serve(&mut self, guest: impl Guest, proxied: &ProxySet, sint: usize) {
        self.serve_queue(guest, sint);
        let idle = self.waiting.get(sint).is_some_and(VecDeque::is_empty);
        if sint != INTERCEPTION || !idle || proxied.is_empty() || !self.takes_messages(sint) {
            return;
        }
        if self.has_room(guest, sint) {
            self.put(guest, sint, &Message::proxy(proxied.take()));
        }
    }

    /// Puts the first message that waits for a source into its slot, if that is free.
    fn serve_queue(&mut self, guest: impl Guest, sint: usize) {
        if !self.takes_messages(sint) {
            return;
        }
        let Some(message) = self.waiting.get(sint).and_then(|waiting| waiting.front().copied())
        else {
            return;
        };
        if self.has_room(guest, sint) {
            self.waiting[sint].pop_front();
            self.put(guest, sint, &message);
        }
    }

    /// Whether a slot can be filled. If not, it says that something waits for it.
    fn has_room(&mut self, guest: impl Guest, sint: usize) -> bool {
        if self.owed >> sint & 1 != 0 {
            return false;
        }
        let simp = address(self.simp);
        let slot = |page: &[AtomicU32]| page.load(sint * SLOT, Acquire) == 0;
        let is_free = || guest.with_page(simp, slot) == Some(true);
        let room = is_free() || self.say_pending(guest, sint) && is_free();
        self.owed |= u16::from(!room) << sint;
        room
    }

    /// Says in a slot that something waits for it; `false` if the page is gone.
    fn say_pending(&self, guest: impl Guest, sint: usize) -> bool {
        let say = |page: &[AtomicU32]| {
            page.fetch_or(sint * SLOT + 4, MESSAGE_PENDING, SeqCst);
            fence(SeqCst);
        };
        guest.with_page(address(self.simp), say).is_some()
    }

    fn put(&mut self, guest: impl Guest, sint: usize, message: &Message) {
        let more = !self.waiting[sint].is_empty();
        let put = |page: &[AtomicU32]| {
            let slot = sint * SLOT;
            let flags = if more { MESSAGE_PENDING } else { 0 };
            page.write(slot + 16, &message.payload);
            page.write(slot + 8, &0_u64.to_le_bytes());
            page.store(slot + 4, u32::from(message.length) | flags, Relaxed);
            page.store(slot, message.kind, Release);
        };
        // The slot says it already.
        self.owed |= u16::from(more) << sint;
        guest.with_page(address(self.simp), put);
        self.interrupt(guest, sint);
    }

    fn takes_messages(&self, sint: usize) -> bool {
        let masked = self.sint(sint).is_none_or(|sint| sint.masked() && !sint.polling());
        self.scontrol.enable() && self.simp.enable() && !masked
    }

    fn interrupt(&self, guest: impl Guest, sint: usize) {
        if let Some(sint) = self.sint(sint).filter(|sint| !sint.masked() && !sint.polling()) {
            guest.post(self.cpu, sint.vector());
        }
    }
}

fn address(page: PageMsr) -> u64 {
    page.page_number().wrapping_mul(PAGE) & !SHARED_BIT
}

/// The value of a page register: an enabled page is shared.
fn page(guest: impl Guest, value: u64) -> Option<PageMsr> {
    let page = PageMsr::from_bits(value);
    (!page.enable() || is_shared(guest, address(page))).then_some(page)
}

/// The value of a source's register: vectors below 16 exist for masked sources only.
fn sint(value: u64) -> Option<Sint> {
    let sint = Sint::from_bits(value);
    (sint.masked() || sint.polling() || sint.vector() >= 16).then_some(sint)
}

#[cfg(test)]
mod tests;
