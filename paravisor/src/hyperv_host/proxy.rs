// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts that the host asks for by messages, taken out of this CPU's page.
//!
//! The handler of the SynIC's vector does this, so it is bounded: after [`proxy::LIMIT`] messages it stops, and
//! what may still be there is for the CPU's main context to take. What the host asks for is an
//! allegation; whoever is told of a vector passes it on to the relay, whose filter knows what L2 has
//! configured.
//!
//! Spec: TLFS "SynIC Message Page".

use vmbus::{
    SharedMemory,
    proxy_interrupt::{self, ProxyFault},
    synic::{Eom, MessageFault, MessagePage, MessageType, SintIndex},
};

/// Most messages that are taken at a time.
pub const LIMIT: u32 = 8;

/// Whether there may be more messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The slot was seen empty; the host raises its vector for the next one.
    Nothing,
    /// The host filled the slot as fast as it was emptied: look again.
    Perhaps,
}

/// What is wrong with a message; the host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The message itself.
    Message(MessageFault),
    /// Another type than this source has.
    Type(MessageType),
    /// What it says.
    Payload(ProxyFault),
}

/// What a pump brings messages to.
pub trait Sink {
    /// There was a message.
    fn message(&mut self);

    /// The host asks for `vector`.
    fn vector(&mut self, vector: u8);

    /// A message was dropped.
    fn fault(&mut self, fault: Fault);

    /// The host has to be told that the slot is free.
    fn end_of_message(&mut self);
}

/// Takes the messages of the source of proxy interrupts.
pub fn pump<M: SharedMemory>(page: &MessagePage<M>, sink: &mut impl Sink) -> Left {
    for _ in 0..LIMIT {
        let Some(taken) = page.take(SintIndex::INTERCEPTION) else { return Left::Nothing };
        sink.message();
        let vectors = taken.message.map_err(Fault::Message).and_then(|message| {
            if message.message_type != MessageType::PROXY_INTERRUPT {
                return Err(Fault::Type(message.message_type));
            }
            proxy_interrupt::parse(message.payload()).map_err(Fault::Payload)
        });
        match vectors {
            Ok(vectors) => vectors.iter().for_each(|vector| sink.vector(vector)),
            Err(fault) => sink.fault(fault),
        }
        // The vectors are passed on first: what comes by the next message comes after them.
        if taken.eom == Eom::Write {
            sink.end_of_message();
        }
    }
    Left::Perhaps
}

#[cfg(test)]
mod tests;
