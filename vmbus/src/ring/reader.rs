// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side that takes packets out.
//!
//! [`Reader::receive`] steps over a packet and lends it; the room is given back to the writer, for all
//! packets since the last time, by [`Reader::release`], which says whether to signal.

use core::fmt;

use zerocopy::{FromZeros, IntoBytes};

use super::{
    FOOTER, Notify, RingFault,
    control::Control,
    packet::{DESCRIPTOR, Descriptor},
};
use crate::{SharedMemory, sync::full_fence};

/// A ring to read from.
#[derive(Debug)]
pub struct Reader<M> {
    ring: Control<M>,
    /// The next packet to read.
    next: u32,
    /// What the other side was shown of `next`.
    released: u32,
    /// What the other side had written when it was last looked at.
    written: u32,
    fault: Option<RingFault>,
}

/// A packet in the ring. Its bytes are copied out at most once: what was read is behind the cursor.
#[derive(Debug)]
pub struct Incoming<'a, M> {
    ring: &'a Control<M>,
    descriptor: Descriptor,
    at: u32,
    headers: u32,
    payload: u32,
}

/// Why there is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The ring has ended; the host is to blame.
    Host(RingFault),
}

/// Whether there is something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// There is; the writer may not have signalled it.
    Packet,
    /// There is not; the writer signals the next one.
    Nothing,
}

impl<M: SharedMemory> Reader<M> {
    /// Begins an empty ring. `None` if the memory is not a control page and whole pages of data.
    ///
    /// The memory must be zero, as fresh pages are, and not yet be the other side's.
    #[must_use]
    pub fn new(memory: M) -> Option<Self> {
        let ring = Control::new(memory)?;
        ring.set_features();
        Some(Self { ring, next: 0, released: 0, written: 0, fault: None })
    }

    /// Takes the next packet, if there is one.
    ///
    /// # Errors
    ///
    /// The host broke the ring, now or before.
    pub fn receive(&mut self) -> Result<Option<Incoming<'_, M>>, ReadError> {
        if self.available() == 0 {
            self.look()?;
        }
        let available = self.available();
        if available == 0 {
            return Ok(None);
        }
        let mut descriptor = Descriptor::new_zeroed();
        // Less than a descriptor may be there; what is read of it then does not pass the check.
        self.ring.read(self.next, descriptor.as_mut_bytes());
        let sizes = descriptor.sizes(available).map_err(|fault| self.fail(fault))?;
        let at = self.ring.advance(self.next, DESCRIPTOR);
        let rest = sizes.headers.saturating_add(sizes.payload).saturating_add(FOOTER);
        self.next = self.ring.advance(at, rest);
        let (headers, payload) = (sizes.headers, sizes.payload);
        Ok(Some(Incoming { ring: &self.ring, descriptor, at, headers, payload }))
    }

    /// Gives back the room of all packets that were taken, and says whether to signal the writer.
    pub fn release(&mut self) -> Notify {
        let freed = self.ring.distance(self.released, self.next);
        if freed == 0 || self.fault.is_some() {
            return Notify::Nobody;
        }
        self.released = self.next;
        self.ring.store_out(self.next);
        full_fence();
        let pending = self.ring.pending_send_size();
        if pending == 0 {
            return Notify::Nobody;
        }
        // The writer may have written more before it began to wait. What it says is compared only.
        let written = self.ring.load_in().unwrap_or(self.written);
        let used = self.ring.distance(self.next, written);
        let free = self.ring.size().saturating_sub(used).saturating_sub(8);
        if free.saturating_sub(freed) < pending && pending <= free {
            Notify::Signal
        } else {
            Notify::Nobody
        }
    }

    /// Asks for no signals: for as long as the caller looks by itself.
    pub fn mask_interrupts(&mut self) {
        self.ring.set_interrupt_mask(1);
    }

    /// Asks for signals again; otherwise as [`before_waiting`](Self::before_waiting).
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    pub fn unmask_interrupts(&mut self) -> Result<(Waiting, Notify), ReadError> {
        self.ring.set_interrupt_mask(0);
        self.before_waiting()
    }

    /// Releases, and looks once more before the caller waits for a signal: a writer that does not
    /// know that the ring was emptied sends none.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    pub fn before_waiting(&mut self) -> Result<(Waiting, Notify), ReadError> {
        let notify = self.release();
        full_fence();
        self.look()?;
        let waiting = if self.available() == 0 { Waiting::Nothing } else { Waiting::Packet };
        Ok((waiting, notify))
    }

    /// Returns what the host did wrong, if it did.
    #[must_use]
    pub const fn fault(&self) -> Option<RingFault> {
        self.fault
    }

    /// Bytes that are known to be written and not yet read.
    fn available(&self) -> u32 {
        self.ring.distance(self.next, self.written)
    }

    /// Looks how far the other side has written: further than before, and not over what it has no
    /// room for.
    fn look(&mut self) -> Result<(), ReadError> {
        if let Some(fault) = self.fault {
            return Err(ReadError::Host(fault));
        }
        let written = self.ring.load_in().map_err(|fault| self.fail(fault))?;
        let before = self.ring.distance(self.released, self.written);
        if self.ring.distance(self.released, written) < before {
            let fault = RingFault::Backwards { from: self.written, to: written };
            return Err(self.fail(fault));
        }
        self.written = written;
        Ok(())
    }

    fn fail(&mut self, fault: RingFault) -> ReadError {
        self.fault = Some(fault);
        // Nothing is there any more.
        self.written = self.next;
        ReadError::Host(fault)
    }
}

impl<M: SharedMemory> Incoming<'_, M> {
    /// What the packet says of itself.
    #[must_use]
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Bytes of further headers that are left to read.
    #[must_use]
    pub const fn headers_left(&self) -> u32 {
        self.headers
    }

    /// Bytes of payload that are left to read, padding included.
    #[must_use]
    pub const fn payload_left(&self) -> u32 {
        self.payload
    }

    /// Copies the next bytes of the further headers; returns how many there were.
    pub fn read_headers(&mut self, bytes: &mut [u8]) -> usize {
        let taken = self.take(bytes, self.headers);
        self.headers = self.headers.saturating_sub(taken);
        usize::try_from(taken).unwrap_or(0)
    }

    /// Copies the next bytes of the payload, past headers that were not read; returns how many there
    /// were.
    pub fn read(&mut self, bytes: &mut [u8]) -> usize {
        self.at = self.ring.advance(self.at, self.headers);
        self.headers = 0;
        let taken = self.take(bytes, self.payload);
        self.payload = self.payload.saturating_sub(taken);
        usize::try_from(taken).unwrap_or(0)
    }

    fn take(&mut self, bytes: &mut [u8], left: u32) -> u32 {
        let wanted = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(left);
        let room = usize::try_from(wanted).unwrap_or(0);
        if let Some(bytes) = bytes.get_mut(..room) {
            self.ring.read(self.at, bytes);
            self.at = self.ring.advance(self.at, wanted);
        }
        wanted
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Host(fault) = self;
        fault.fmt(f)
    }
}

impl core::error::Error for ReadError {}
