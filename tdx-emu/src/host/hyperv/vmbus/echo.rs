// SPDX-License-Identifier: MIT OR Apache-2.0
//! The device behind a channel: it sends back what it gets.
//!
//! A packet that wants a completion gets one with the same payload; any other comes back as it is. When
//! there is no room, one packet is held, and the client signals when there is.

#[cfg(target_os = "none")]
use alloc::{vec, vec::Vec};

use vmbus::ring::{
    Notify, Outgoing, Reader, RingFault, WriteError, Writer,
    packet::{Completion, PacketKind},
};

use crate::host::hyperv::guest::{Guest, Pages};

/// Packets in a row. A client that fills as fast as this empties has to signal again.
const AT_ONCE: usize = 1024;

/// A packet that waits for room.
#[derive(Debug)]
struct Held {
    kind: PacketKind,
    transaction: u64,
    payload: Vec<u8>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Packets that were sent back.
    pub(crate) packets: u64,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
    /// Whether the client is to be signalled.
    pub(crate) signal: bool,
    /// Whether there may be more at once.
    pub(crate) more: bool,
}

/// The device, while its channel is open.
#[derive(Debug)]
pub(crate) struct Echo<G> {
    reader: Reader<Pages<G>>,
    writer: Writer<Pages<G>>,
    held: Option<Held>,
}

impl<G: Guest> Echo<G> {
    /// A device on two rings: the client's, and its own. `None` if they are none.
    pub(crate) fn new([client, host]: [Pages<G>; 2]) -> Option<Self> {
        Some(Self { reader: Reader::new(client)?, writer: Writer::new(host)?, held: None })
    }

    /// Sends back what there is, as far as there is room.
    ///
    /// # Errors
    ///
    /// The client broke a ring.
    pub(crate) fn serve(&mut self) -> Result<Done, RingFault> {
        let mut done = Done::default();
        for _ in 0..AT_ONCE {
            if self.held.is_none() && !self.fetch()? {
                let (waiting, notify) = self.reader.before_waiting().map_err(fault_of_reader)?;
                done.signal |= notify == Notify::Signal;
                if waiting == vmbus::ring::Waiting::Nothing {
                    done.signal |= self.writer.publish() == Notify::Signal;
                    return Ok(done);
                }
                continue;
            }
            if !self.give_back(&mut done)? {
                done.signal |= self.reader.release() == Notify::Signal;
                return Ok(done);
            }
        }
        done.signal |= self.reader.release() == Notify::Signal;
        done.signal |= self.writer.publish() == Notify::Signal;
        done.more = true;
        Ok(done)
    }

    /// Takes a packet out of the client's ring; false if there is none.
    fn fetch(&mut self) -> Result<bool, RingFault> {
        let Some(mut packet) = self.reader.receive().map_err(fault_of_reader)? else {
            return Ok(false);
        };
        let descriptor = *packet.descriptor();
        let mut payload = vec![0; usize::try_from(packet.payload_left()).unwrap_or(0)];
        packet.read(&mut payload);
        let kind = match descriptor.completion() {
            Completion::Wanted => PacketKind::COMPLETION,
            Completion::NotWanted => PacketKind::IN_BAND,
        };
        let transaction = descriptor.transaction.get();
        self.held = Some(Held { kind, transaction, payload });
        Ok(true)
    }

    /// Puts the packet that is held into the host's ring; false if it must wait.
    fn give_back(&mut self, done: &mut Done) -> Result<bool, RingFault> {
        let Some(held) = &self.held else { return Ok(true) };
        let payload: [&[u8]; 1] = [&held.payload];
        let packet = Outgoing {
            kind: held.kind,
            ..Outgoing::in_band(Completion::NotWanted, held.transaction, &payload)
        };
        let mut pushed = self.writer.push(&packet);
        if pushed == Err(WriteError::Full) {
            done.signal |= self.writer.publish() == Notify::Signal;
            pushed = self.writer.push(&packet);
        }
        match pushed {
            Ok(()) => {
                done.packets += 1;
                done.bytes += held.payload.len() as u64;
            }
            Err(WriteError::Full) => return Ok(false),
            // The client's ring is larger than the host's; what cannot come back is lost.
            Err(WriteError::Size) => log::warn!("echo: a packet is too large to come back"),
            Err(WriteError::Host(fault)) => return Err(fault),
        }
        self.held = None;
        Ok(true)
    }
}

fn fault_of_reader(error: vmbus::ring::ReadError) -> RingFault {
    let vmbus::ring::ReadError::Host(fault) = error;
    fault
}
