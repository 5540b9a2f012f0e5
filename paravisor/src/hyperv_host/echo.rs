// SPDX-License-Identifier: MIT OR Apache-2.0
//! A channel that answers: each packet comes back as its completion, with the payload that it had.
//!
//! Nobody uses it but to see that packets travel, and what they cost. A few are on their way at a time.
//! What the host does wrong is counted where the rest still makes sense (an answer to nothing, another payload), and
//! ends the channel where it does not (a broken ring).
//!
//! Spec: VMBUS "Ring buffer".

use vmbus::{
    SharedMemory,
    ring::{
        Incoming, Notify, Outgoing, PacketKind, ReadError, Reader, Waiting, WriteError, Writer,
        packet::Completion,
    },
    transaction::Transactions,
};

/// Bytes of a payload.
pub const PAYLOAD: usize = 64;

/// Packets on their way at a time.
const WINDOW: usize = 16;

/// Most packets that are read in one turn.
const LIMIT: u32 = 64;

/// The channel's two rings, and what was sent.
#[derive(Debug)]
pub struct Echo<M> {
    writer: Writer<M>,
    reader: Reader<M>,
    /// Packets that are on their way, by the number that each carries.
    waiting: Transactions<u64, WINDOW>,
    goal: u64,
    figures: Figures,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Packets sent.
    pub sent: u64,
    /// Packets that came back as they went.
    pub answered: u64,
    /// Packets of the host that answer nothing, or not with what was sent.
    pub wrong: u64,
}

/// What is left to do after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing before the host signals.
    Nothing,
    /// The host has written as fast as was read: another turn.
    Turn,
}

/// A ring is broken; the host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(pub vmbus::ring::RingFault);

impl<M: SharedMemory> Echo<M> {
    /// Begins to send `goal` packets over fresh rings. `None` if the memory is not that of rings.
    #[must_use]
    pub fn new(to_host: M, from_host: M, goal: u64) -> Option<Self> {
        Some(Self {
            writer: Writer::new(to_host)?,
            reader: Reader::new(from_host)?,
            waiting: Transactions::new(),
            goal,
            figures: Figures::default(),
        })
    }

    /// Takes what has come and sends what may go. Returns whether to signal the host.
    ///
    /// # Errors
    /// The host broke a ring; nothing more goes over the channel.
    pub fn turn(&mut self) -> Result<(Notify, Left), Broken> {
        let mut notify = Notify::Nobody;
        let mut left = Left::Turn;
        let mut reads = 0;
        while reads < LIMIT {
            reads += self.read(LIMIT - reads)?;
            notify = either(notify, self.send()?);
            let (waiting, room) = self.reader.before_waiting().map_err(broken_reader)?;
            notify = either(notify, room);
            if waiting == Waiting::Nothing {
                left = Left::Nothing;
                break;
            }
        }
        Ok((notify, left))
    }

    /// What was done.
    #[must_use]
    pub const fn figures(&self) -> Figures {
        self.figures
    }

    /// Reads at most `limit` packets; returns how many there were.
    fn read(&mut self, limit: u32) -> Result<u32, Broken> {
        for count in 0..limit {
            let Some(packet) = self.reader.receive().map_err(broken_reader)? else {
                return Ok(count);
            };
            if is_answer(packet, &mut self.waiting) {
                self.figures.answered = self.figures.answered.saturating_add(1);
            } else {
                self.figures.wrong = self.figures.wrong.saturating_add(1);
            }
        }
        Ok(limit)
    }

    /// Sends as many packets as may be on their way.
    fn send(&mut self) -> Result<Notify, Broken> {
        let mut pushed = false;
        while self.figures.sent < self.goal {
            let number = self.figures.sent;
            let Ok(transaction) = self.waiting.begin(number) else { break };
            let payload = payload(number);
            let parts: [&[u8]; 1] = [&payload];
            match self.writer.push(&Outgoing::in_band(Completion::Wanted, transaction, &parts)) {
                Ok(()) => {
                    self.figures.sent = number.saturating_add(1);
                    pushed = true;
                }
                Err(WriteError::Host(fault)) => return Err(Broken(fault)),
                Err(WriteError::Full | WriteError::Size) => {
                    // It is not on its way.
                    let _ = self.waiting.complete(transaction);
                    break;
                }
            }
        }
        Ok(if pushed { self.writer.publish() } else { Notify::Nobody })
    }
}

/// Whether a packet is the answer to one that waits.
fn is_answer<M: SharedMemory>(
    mut packet: Incoming<'_, M>,
    waiting: &mut Transactions<u64, WINDOW>,
) -> bool {
    if packet.descriptor().kind != PacketKind::COMPLETION {
        return false;
    }
    let Ok(number) = waiting.complete(packet.descriptor().transaction.get()) else { return false };
    let mut bytes = [0; PAYLOAD];
    packet.read(&mut bytes) == PAYLOAD && bytes == payload(number) && packet.payload_left() == 0
}

/// What packet `number` says: its number, over and over.
fn payload(number: u64) -> [u8; PAYLOAD] {
    let mut bytes = [0; PAYLOAD];
    let (words, _) = bytes.as_chunks_mut::<8>();
    words.fill(number.to_le_bytes());
    bytes
}

fn either(one: Notify, other: Notify) -> Notify {
    if one == Notify::Signal { one } else { other }
}

fn broken_reader(ReadError::Host(fault): ReadError) -> Broken {
    Broken(fault)
}
