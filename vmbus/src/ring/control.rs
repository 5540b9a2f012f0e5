// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control page, and the checks that an index of the other side must pass.

use core::fmt;

use crate::{PAGE_SIZE, SharedMemory, sync::Ordering};

const IN: usize = 0;
const OUT: usize = 4;
const INTERRUPT_MASK: usize = 8;
const PENDING_SEND_SIZE: usize = 12;
const FEATURES: usize = 64;

/// In the feature bits: pending send size is understood.
const PENDING_SEND_SIZE_UNDERSTOOD: u32 = 1;

/// What the other side of a ring did wrong. Nothing of the ring is believed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingFault {
    /// An index is no multiple of 8, or outside the ring.
    Index(u32),
    /// An index went to where it cannot have gone.
    Backwards {
        /// Where it was.
        from: u32,
        /// Where it is.
        to: u32,
    },
    /// A packet whose headers or length do not fit each other, or what is there.
    Packet {
        /// Offset of the payload, in words of 8 bytes.
        data_offset: u16,
        /// Length without footer, in words of 8 bytes.
        length: u16,
        /// Bytes that were there.
        available: u32,
    },
}

/// Whether the other side must be signalled.
#[must_use = "the other side may sleep until it is signalled"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// It may be asleep.
    Signal,
    /// It will look by itself.
    Nobody,
}

/// A ring in shared memory: one control page, then data.
#[derive(Debug)]
pub(super) struct Control<M> {
    memory: M,
    /// Bytes of data; a multiple of a page.
    size: u32,
}

impl<M: SharedMemory> Control<M> {
    /// Takes the memory, which must be whole pages, at least two, and less than 2 GiB.
    pub(super) fn new(memory: M) -> Option<Self> {
        let size = memory.size().checked_sub(PAGE_SIZE)?;
        let fits = size != 0 && size.is_multiple_of(PAGE_SIZE) && size < 1 << 31;
        let size = u32::try_from(size).ok().filter(|_| fits)?;
        Some(Self { memory, size })
    }

    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// Returns how far `to` is ahead of `from`.
    pub(super) const fn distance(&self, from: u32, to: u32) -> u32 {
        if to >= from {
            to.wrapping_sub(from)
        } else {
            self.size.wrapping_sub(from.wrapping_sub(to))
        }
    }

    /// Returns the index `bytes` ahead of `from`.
    pub(super) const fn advance(&self, from: u32, bytes: u32) -> u32 {
        let to = from.wrapping_add(bytes);
        if to >= self.size { to.wrapping_sub(self.size) } else { to }
    }

    pub(super) fn load_in(&self) -> Result<u32, RingFault> {
        self.index(IN)
    }

    pub(super) fn load_out(&self) -> Result<u32, RingFault> {
        self.index(OUT)
    }

    /// Reads an index without believing it: to be compared, not used.
    pub(super) fn peek_out(&self) -> u32 {
        self.memory.load(OUT, Ordering::Acquire)
    }

    pub(super) fn store_in(&self, index: u32) {
        self.memory.store(IN, index, Ordering::Release);
    }

    pub(super) fn store_out(&self, index: u32) {
        self.memory.store(OUT, index, Ordering::Release);
    }

    pub(super) fn interrupt_mask(&self) -> u32 {
        self.memory.load(INTERRUPT_MASK, Ordering::Relaxed)
    }

    pub(super) fn set_interrupt_mask(&self, mask: u32) {
        self.memory.store(INTERRUPT_MASK, mask, Ordering::Relaxed);
    }

    pub(super) fn pending_send_size(&self) -> u32 {
        self.memory.load(PENDING_SEND_SIZE, Ordering::Acquire) & !7
    }

    pub(super) fn set_pending_send_size(&self, bytes: u32) {
        self.memory.store(PENDING_SEND_SIZE, bytes, Ordering::Release);
    }

    /// Says that pending send sizes are understood.
    pub(super) fn set_features(&self) {
        self.memory.store(FEATURES, PENDING_SEND_SIZE_UNDERSTOOD, Ordering::Relaxed);
    }

    /// Copies out of the data, round the end if need be.
    pub(super) fn read(&self, from: u32, bytes: &mut [u8]) {
        let (here, rest) = bytes.split_at_mut(self.to_end(from).min(bytes.len()));
        self.memory.read(self.offset(from), here);
        if !rest.is_empty() {
            self.memory.read(PAGE_SIZE, rest);
        }
    }

    /// Copies into the data, round the end if need be.
    pub(super) fn write(&self, to: u32, bytes: &[u8]) {
        let (here, rest) = bytes.split_at(self.to_end(to).min(bytes.len()));
        self.memory.write(self.offset(to), here);
        if !rest.is_empty() {
            self.memory.write(PAGE_SIZE, rest);
        }
    }

    fn to_end(&self, index: u32) -> usize {
        usize::try_from(self.size.saturating_sub(index)).unwrap_or(usize::MAX)
    }

    fn offset(&self, index: u32) -> usize {
        usize::try_from(index).unwrap_or(usize::MAX).saturating_add(PAGE_SIZE)
    }

    fn index(&self, offset: usize) -> Result<u32, RingFault> {
        let index = self.memory.load(offset, Ordering::Acquire);
        if index < self.size && index.is_multiple_of(8) {
            Ok(index)
        } else {
            Err(RingFault::Index(index))
        }
    }
}

impl fmt::Display for RingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("host: ring ")?;
        match self {
            Self::Index(index) => write!(f, "index {index:#x}"),
            Self::Backwards { from, to } => write!(f, "index went from {from:#x} to {to:#x}"),
            Self::Packet { data_offset, length, available } => write!(
                f,
                "packet of {length} words with payload at word {data_offset}, {available} bytes there"
            ),
        }
    }
}

impl core::error::Error for RingFault {}
