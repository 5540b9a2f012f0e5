// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side that puts packets in.
//!
//! [`Writer::push`] copies a packet into the ring, straight from where the caller has it;
//! [`Writer::publish`] shows the host all packets since the last time and says whether to signal.

use core::fmt;

use zerocopy::{
    IntoBytes,
    little_endian::{U16, U64},
};

use super::{
    FOOTER, Notify, RingFault,
    control::Control,
    packet::{Completion, DESCRIPTOR, Descriptor, PacketKind},
};
use crate::{SharedMemory, sync::full_fence};

/// A ring to write into.
#[derive(Debug)]
pub struct Writer<M> {
    ring: Control<M>,
    /// Where the next packet goes.
    next: u32,
    /// What the other side was shown of `next`.
    published: u32,
    /// What the other side had read when it was last looked at.
    out: u32,
    waiting: Waiting,
    fault: Option<RingFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    ForRoom,
    No,
}

/// A packet to be written.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// What it is.
    pub kind: PacketKind,
    /// Whether the other side shall answer.
    pub completion: Completion,
    /// What it is called in the answer.
    pub transaction: u64,
    /// Headers behind the descriptor; a multiple of 8 bytes.
    pub headers: &'a [u8],
    /// The payload, in pieces.
    pub payload: &'a [&'a [u8]],
}

/// Why a packet was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// There is no room now. The other side was asked to signal when there is; what was pushed before
    /// must be published, or it cannot make room.
    Full,
    /// The packet never fits, or its headers are no multiple of 8 bytes. The caller is to blame.
    Size,
    /// The ring has ended; the host is to blame.
    Host(RingFault),
}

impl<M: SharedMemory> Writer<M> {
    /// Begins an empty ring. `None` if the memory is not a control page and whole pages of data.
    ///
    /// The memory must be zero, as fresh pages are, and not yet be the other side's.
    #[must_use]
    pub fn new(memory: M) -> Option<Self> {
        let ring = Control::new(memory)?;
        ring.set_features();
        Some(Self { ring, next: 0, published: 0, out: 0, waiting: Waiting::No, fault: None })
    }

    /// Writes a packet and shows it.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub fn write(&mut self, packet: &Outgoing<'_>) -> Result<Notify, WriteError> {
        self.push(packet)?;
        Ok(self.publish())
    }

    /// Copies a packet into the ring. The other side sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// There is no room, or never will be; or the host broke the ring, now or before.
    pub fn push(&mut self, packet: &Outgoing<'_>) -> Result<(), WriteError> {
        let (descriptor, padding, whole) = self.plan(packet)?;
        self.make_room(whole)?;
        let start = self.next;
        let mut at = self.put(start, descriptor.as_bytes());
        at = self.put(at, packet.headers);
        for piece in packet.payload {
            at = self.put(at, piece);
        }
        at = self.put(at, [0; 7].get(..padding).unwrap_or_default());
        let footer = u64::from(start) << 32;
        self.next = self.put(at, &footer.to_le_bytes());
        Ok(())
    }

    /// Shows the other side what was pushed, and says whether to signal it.
    pub fn publish(&mut self) -> Notify {
        let before = self.published;
        if before == self.next || self.fault.is_some() {
            return Notify::Nobody;
        }
        self.published = self.next;
        self.ring.store_in(self.next);
        full_fence();
        // Only compared: a lie gets the liar a signal too many or too few.
        if self.ring.interrupt_mask() == 0 && self.ring.peek_out() == before {
            Notify::Signal
        } else {
            Notify::Nobody
        }
    }

    /// Checks that a packet of `bytes`, as by [`packet_size`](Self::packet_size), would fit now; if not,
    /// asks for a signal. To be called after such a signal, and before waiting for one.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub fn make_room(&mut self, bytes: u32) -> Result<(), WriteError> {
        if bytes > self.ring.size().saturating_sub(8) {
            return Err(WriteError::Size);
        }
        if self.free() < bytes {
            self.look()?;
        }
        if self.free() < bytes {
            self.waiting = Waiting::ForRoom;
            self.ring.set_pending_send_size(bytes);
            full_fence();
            self.look()?;
        }
        if self.free() < bytes {
            return Err(WriteError::Full);
        }
        if self.waiting == Waiting::ForRoom {
            self.waiting = Waiting::No;
            self.ring.set_pending_send_size(0);
        }
        Ok(())
    }

    /// Returns the bytes that a packet takes in the ring, if it can be one.
    #[must_use]
    pub fn packet_size(packet: &Outgoing<'_>) -> Option<u32> {
        let payload = packet
            .payload
            .iter()
            .try_fold(0_usize, |bytes, piece| bytes.checked_add(piece.len()))?;
        let headers = u32::try_from(packet.headers.len()).ok()?;
        let whole = u32::try_from(payload)
            .ok()?
            .checked_next_multiple_of(8)?
            .checked_add(headers)?
            .checked_add(DESCRIPTOR)?;
        u16::try_from(whole >> 3).ok().filter(|_| headers.is_multiple_of(8))?;
        whole.checked_add(FOOTER)
    }

    /// Returns what the host did wrong, if it did.
    #[must_use]
    pub const fn fault(&self) -> Option<RingFault> {
        self.fault
    }

    fn plan(&self, packet: &Outgoing<'_>) -> Result<(Descriptor, usize, u32), WriteError> {
        if let Some(fault) = self.fault {
            return Err(WriteError::Host(fault));
        }
        let whole = Self::packet_size(packet).ok_or(WriteError::Size)?;
        let words = |bytes: u32| u16::try_from(bytes >> 3).map(U16::new);
        let headers = u32::try_from(packet.headers.len()).map_err(|_| WriteError::Size)?;
        let payload: usize = packet.payload.iter().map(|piece| piece.len()).sum();
        let descriptor = Descriptor {
            kind: packet.kind,
            data_offset: words(headers.saturating_add(DESCRIPTOR)).map_err(|_| WriteError::Size)?,
            length: words(whole.saturating_sub(FOOTER)).map_err(|_| WriteError::Size)?,
            flags: U16::new(u16::from(packet.completion == Completion::Wanted)),
            transaction: U64::new(packet.transaction),
        };
        Ok((descriptor, payload.wrapping_neg() & 7, whole))
    }

    /// Bytes that can be written without another look.
    fn free(&self) -> u32 {
        let used = self.ring.distance(self.out, self.next);
        self.ring.size().saturating_sub(used).saturating_sub(8)
    }

    /// Looks how far the other side has read: further than before, and not beyond what it was shown.
    fn look(&mut self) -> Result<(), WriteError> {
        let result = self.ring.load_out().and_then(|out| {
            let (moved, shown) =
                (self.ring.distance(self.out, out), self.ring.distance(self.out, self.published));
            if moved <= shown {
                Ok(out)
            } else {
                Err(RingFault::Backwards { from: self.out, to: out })
            }
        });
        match result {
            Ok(out) => self.out = out,
            Err(fault) => {
                self.fault = Some(fault);
                return Err(WriteError::Host(fault));
            }
        }
        Ok(())
    }

    fn put(&self, at: u32, bytes: &[u8]) -> u32 {
        if bytes.is_empty() {
            return at;
        }
        self.ring.write(at, bytes);
        // What did not fit was refused, so this is a small number.
        self.ring.advance(at, u32::try_from(bytes.len()).unwrap_or(0))
    }
}

impl<'a> Outgoing<'a> {
    /// A packet that is its payload.
    #[must_use]
    pub const fn in_band(
        completion: Completion,
        transaction: u64,
        payload: &'a [&'a [u8]],
    ) -> Self {
        Self { kind: PacketKind::IN_BAND, completion, transaction, headers: &[], payload }
    }

    /// The answer to a packet.
    #[must_use]
    pub const fn completion(transaction: u64, payload: &'a [&'a [u8]]) -> Self {
        let completion = Completion::NotWanted;
        Self { kind: PacketKind::COMPLETION, completion, transaction, headers: &[], payload }
    }
}

impl From<RingFault> for WriteError {
    fn from(fault: RingFault) -> Self {
        Self::Host(fault)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("ring is full"),
            Self::Size => f.write_str("caller: no packet of this size"),
            Self::Host(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for WriteError {}
