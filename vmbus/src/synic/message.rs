// SPDX-License-Identifier: MIT OR Apache-2.0
//! The message page: one slot a source, one message a slot.
//!
//! | offset | field |
//! |---|---|
//! | 0 | message type; 0 means that the slot is free |
//! | 4 | bytes of payload, 0 to 240 |
//! | 5 | flags; bit 0: another message waits for this slot |
//! | 8 | sender or port |
//! | 16 | payload |
//!
//! The rule of the end of message: copy, free the slot, and only then look whether another message
//! waits; if so, write EOM. [`MessagePage::take`] is that rule, less the write, which [`Eom`] asks
//! the caller for.
//!
//! # Orderings
//!
//! - The type is loaded with Acquire, which pairs with the host's store of the type: payload and size
//!   are read after it.
//! - The type is stored with Release, so the copy is finished before the host may reuse the slot.
//! - A full fence stands between that store and the second look at the flags. The host sets the flag
//!   and then looks whether the slot is free; without the fence both sides could miss the other, and
//!   the message would wait for ever.
//!
//! Spec: TLFS "SynIC Message Page", "SynIC Message Flags".

use core::fmt;

use super::msr::SintIndex;
use crate::{
    SharedMemory,
    sync::{Ordering, full_fence},
};

/// Bytes of a slot.
const SLOT: usize = 256;

/// Bytes of payload in a message.
pub const MAX_PAYLOAD: usize = 240;

const SIZE_AND_FLAGS: usize = 4;
const SENDER: usize = 8;
const PAYLOAD: usize = 16;

/// In the word of size and flags: another message waits for the slot.
const MESSAGE_PENDING: u32 = 1 << 8;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageType(pub u32);

impl MessageType {
    /// No message: the slot is free.
    pub const NONE: Self = Self(0);
    /// A message of VMBus.
    pub const VMBUS: Self = Self(1);
    /// Interrupts that the host asks to be delivered to L2.
    pub const PROXY_INTERRUPT: Self = Self(0x8001_000f);
}

/// A message, copied out of the reach of the host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub message_type: MessageType,
    /// The port it came through, or who sent it.
    pub sender: u64,
    length: u8,
    payload: [u8; MAX_PAYLOAD],
}

/// Whether the host must be told that the slot is free.
#[must_use = "a message that waits for the slot comes only after EOM was written"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eom {
    /// Write 0 to [`Msr::EOM`](super::Msr::EOM).
    Write,
    /// Nobody waits.
    NotNeeded,
}

/// What was wrong with a message; the host is to blame. The slot was freed all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageFault {
    /// It claims more payload than a slot holds.
    TooLong {
        /// Of this type.
        message_type: MessageType,
        /// Bytes that it claims.
        claimed: u8,
    },
}

/// What came out of a slot.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// The message.
    pub message: Result<Message, MessageFault>,
    /// What is owed to the host.
    pub eom: Eom,
}

/// The message page of one CPU; used by that CPU alone.
#[derive(Clone, Copy, Debug)]
pub struct MessagePage<M>(M);

impl<M: SharedMemory> MessagePage<M> {
    /// Takes the page, which is `None` if it is smaller than one.
    #[must_use]
    pub fn new(page: M) -> Option<Self> {
        (page.size() >= crate::PAGE_SIZE).then_some(Self(page))
    }

    /// Takes the message of a source, if there is one, and frees the slot.
    ///
    /// The host can refill the slot at once, so a caller that loops must count. One that stops early
    /// has to come back by itself: the host owes no second interrupt.
    #[must_use]
    pub fn take(&self, sint: SintIndex) -> Option<Taken> {
        let slot = sint.as_usize().saturating_mul(SLOT);
        let message_type = MessageType(self.0.load(slot, Ordering::Acquire));
        if message_type == MessageType::NONE {
            return None;
        }
        let message = self.copy(slot, message_type);
        self.0.store(slot, MessageType::NONE.0, Ordering::Release);
        full_fence();
        let flags = self.0.load(slot.saturating_add(SIZE_AND_FLAGS), Ordering::Relaxed);
        let eom = if flags & MESSAGE_PENDING != 0 { Eom::Write } else { Eom::NotNeeded };
        Some(Taken { message, eom })
    }

    fn copy(&self, slot: usize, message_type: MessageType) -> Result<Message, MessageFault> {
        let size = self.0.load(slot.saturating_add(SIZE_AND_FLAGS), Ordering::Relaxed);
        let [length, ..] = size.to_le_bytes();
        let mut message = Message { message_type, sender: 0, length, payload: [0; MAX_PAYLOAD] };
        let payload = message
            .payload
            .get_mut(..usize::from(length))
            .ok_or(MessageFault::TooLong { message_type, claimed: length })?;
        self.0.read(slot.saturating_add(PAYLOAD), payload);
        let mut sender = [0; 8];
        self.0.read(slot.saturating_add(SENDER), &mut sender);
        message.sender = u64::from_le_bytes(sender);
        Ok(message)
    }
}

impl Message {
    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload.get(..usize::from(self.length)).unwrap_or(&self.payload)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("message_type", &self.message_type)
            .field("sender", &self.sender)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for MessageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::TooLong { message_type, claimed } = self;
        write!(f, "host: message of type {:#x} claims {claimed} bytes", message_type.0)
    }
}

impl core::error::Error for MessageFault {}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
