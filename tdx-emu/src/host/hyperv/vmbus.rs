// SPDX-License-Identifier: MIT OR Apache-2.0
//! VMBus from the host's side: contact, offers, memory, channels.
//!
//! What the client sends is an order or nonsense; nonsense is counted, told once in a while, and has no
//! effect. What goes to the client waits in a queue of its own until there is room in the controller.
//!
//! Spec: VMBUS.

/// Messages, byte by byte.
pub(crate) mod wire;

/// Memory that the client described.
mod memory;

/// What is behind a channel.
mod echo;

/// A channel.
mod channel;

/// What is done for each message.
mod requests;

#[cfg(target_os = "none")]
use alloc::{collections::VecDeque, vec::Vec};
#[cfg(not(target_os = "none"))]
use std::collections::VecDeque;

use self::{
    channel::Channel,
    memory::Memory,
    wire::{Answer, Contact},
};
use super::{guest::Guest, status::HvStatus, synic::Message};

/// Where contact is made: the general port, and the one for a paravisor.
const CONTACT: [u32; 2] = [4, 0x80_0074];

/// Where further messages go.
const MESSAGES: u32 = 0x75;

/// Most that waits for the client before its calls are refused.
const WAITING: usize = 64;

/// Something for the client.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "most are messages, and few wait")]
pub(crate) enum Outgoing {
    /// A message.
    Message {
        /// The virtual CPU.
        cpu: usize,
        /// The source.
        sint: usize,
        /// The message.
        message: Message,
    },
    /// A signal of a channel.
    Signal {
        /// The virtual CPU.
        cpu: usize,
        /// The source.
        sint: usize,
        /// The flag.
        flag: u16,
    },
}

impl Outgoing {
    fn is_same_signal(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Signal { cpu, sint, flag },
                Self::Signal { cpu: other_cpu, sint: other_sint, flag: other_flag },
            ) => (cpu, sint, flag) == (other_cpu, other_sint, other_flag),
            _ => false,
        }
    }
}

/// What a message was posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// Where contact is made.
    Contact,
    /// Where further messages go.
    Messages,
}

/// How the host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// The newest version that it knows.
    pub(crate) newest: u32,
    /// The first channel is taken away after so many packets, and offered again.
    pub(crate) rescind_after: Option<u64>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { newest: 0x6_0000, rescind_after: None }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Messages of the client.
    pub(crate) messages: u64,
    /// Of them nonsense.
    pub(crate) nonsense: u64,
    /// Calls that signalled a channel.
    pub(crate) signals: u64,
    /// Bits of the monitor page that were found set.
    pub(crate) triggers: u64,
    /// Packets that came back.
    pub(crate) packets: u64,
    /// Bytes in them.
    pub(crate) bytes: u64,
    /// Signals to the client.
    pub(crate) interrupts: u64,
    /// Rings that the client broke.
    pub(crate) broken: u64,
}

/// The connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    contact: Contact,
    /// Asked for and granted.
    features: u32,
    monitor_pages: [u64; 2],
    paused: bool,
    offered: bool,
}

/// The host's side of the bus.
#[derive(Debug)]
pub(crate) struct Vmbus<G> {
    manner: Manner,
    connection: Option<Connection>,
    memory: Memory,
    channels: Vec<Channel<G>>,
    outgoing: VecDeque<Outgoing>,
    /// What waits for the end of the silence.
    held: VecDeque<Outgoing>,
    figures: Figures,
}

impl<G: Guest> Vmbus<G> {
    /// A bus that nobody has spoken to.
    pub(crate) const fn new(manner: Manner) -> Self {
        Self {
            manner,
            connection: None,
            memory: Memory::new(),
            channels: Vec::new(),
            outgoing: VecDeque::new(),
            held: VecDeque::new(),
            figures: Figures {
                messages: 0,
                nonsense: 0,
                signals: 0,
                triggers: 0,
                packets: 0,
                bytes: 0,
                interrupts: 0,
                broken: 0,
            },
        }
    }

    /// Takes a message that was posted to a connection.
    pub(crate) fn post(&mut self, guest: G, connection: u32, bytes: &[u8]) -> Result<(), HvStatus> {
        let port = match connection {
            MESSAGES => Port::Messages,
            _ if CONTACT.contains(&connection) => Port::Contact,
            _ => return Err(HvStatus::INVALID_CONNECTION_ID),
        };
        if self.outgoing.len() + self.held.len() >= WAITING {
            return Err(HvStatus::INSUFFICIENT_BUFFERS);
        }
        self.figures.messages += 1;
        let request = wire::parse(bytes);
        let done = request.is_some_and(|request| self.obey(guest, port, request));
        if !done {
            self.figures.nonsense += 1;
            if self.figures.nonsense.is_power_of_two() {
                let kind = bytes.first().copied().unwrap_or(0);
                log::warn!("vmbus: message without sense: type={kind} bytes={}", bytes.len());
            }
        }
        Ok(())
    }

    /// The client signals a connection.
    pub(crate) fn signal(&mut self, connection: u32) -> Result<(), HvStatus> {
        let meant = |channel: &Channel<G>| channel.listens_at(connection);
        let index = self.channels.iter().position(meant);
        let index = index.ok_or(HvStatus::INVALID_CONNECTION_ID)?;
        self.figures.signals += 1;
        self.serve(index);
        Ok(())
    }

    /// Looks at the monitor page, and at channels that were not done.
    pub(crate) fn poll(&mut self, guest: G) {
        let page = self.connection.map_or(0, |connection| connection.monitor_pages[1]);
        for index in 0..self.channels.len() {
            let Some(channel) = self.channels.get_mut(index) else { return };
            let triggered = page != 0 && channel.is_triggered(guest, page);
            self.figures.triggers += u64::from(triggered);
            if triggered || channel.has_more() {
                self.serve(index);
            }
        }
    }

    /// Whether there is something to look at now and then.
    pub(crate) fn wants_poll(&self) -> bool {
        let monitored = self.connection.is_some_and(|connection| connection.monitor_pages[1] != 0);
        self.channels
            .iter()
            .any(|channel| channel.has_more() || monitored && channel.is_monitored())
    }

    /// Gives what waits to `deliver`, which says whether it took it.
    pub(crate) fn deliver(&mut self, mut deliver: impl FnMut(Outgoing) -> bool) {
        while let Some(outgoing) = self.outgoing.front() {
            if !deliver(*outgoing) {
                return;
            }
            self.outgoing.pop_front();
        }
    }

    /// How much waits for the client.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.outgoing.len() + self.held.len()
    }

    /// What happened so far.
    pub(crate) fn figures(&self) -> Figures {
        self.figures
    }

    /// Lets the device behind a channel work.
    fn serve(&mut self, index: usize) {
        let Some(connection) = self.connection else { return };
        let Some(channel) = self.channels.get_mut(index) else { return };
        let Some(result) = channel.serve() else { return };
        match result {
            Ok(done) => {
                let interrupt = channel.interrupt(connection.contact.sint);
                self.figures.packets += done.packets;
                self.figures.bytes += done.bytes;
                if let Some((cpu, sint, flag)) = interrupt.filter(|_| done.signal) {
                    self.figures.interrupts += 1;
                    self.queue(Outgoing::Signal { cpu, sint, flag });
                }
            }
            Err(fault) => {
                self.figures.broken += 1;
                log::warn!("vmbus: the client broke a ring of channel {}: {fault:?}", channel.id());
            }
        }
        self.rescind_if_due(index);
    }

    /// Answers the client.
    fn answer(&mut self, answer: Answer) {
        if let Some(contact) = self.connection.map(|connection| connection.contact) {
            self.answer_to(contact, answer);
        }
    }

    fn answer_to(&mut self, contact: Contact, answer: Answer) {
        self.answer_at((contact.target_vp, contact.sint.into()), answer);
    }

    /// Answers to a source of a virtual CPU.
    fn answer_at(&mut self, (target_vp, sint): (u32, u32), answer: Answer) {
        let [cpu, sint] = [target_vp, sint].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        if let Some(message) = answer.message() {
            self.queue(Outgoing::Message { cpu, sint, message });
        }
    }

    /// A signal that waits already is not said twice, so that no number of calls makes the queue longer.
    fn queue(&mut self, outgoing: Outgoing) {
        let silent = self.connection.is_some_and(|connection| connection.paused);
        let queue = if silent { &mut self.held } else { &mut self.outgoing };
        if !queue.iter().any(|waiting| waiting.is_same_signal(&outgoing)) {
            queue.push_back(outgoing);
        }
    }
}

#[cfg(test)]
mod tests;
