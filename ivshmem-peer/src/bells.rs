// SPDX-License-Identifier: MIT OR Apache-2.0
//! One eventfd per vector of the guest's device, and the count of its rings.
//!
//! The count goes into the shared memory before the ring, so that a guest which was interrupted
//! never sees a count smaller than the number of its interrupts.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::layout::offset;
use crate::memory::SharedMemory;

/// Address of word `index` in the array that starts at `base`.
pub(crate) fn word(base: u64, index: u16) -> u64 {
    base + 4 * u64::from(index)
}

/// The eventfds whose signal is an interrupt of the guest.
#[derive(Debug)]
pub(crate) struct Bells {
    bells: Vec<Bell>,
}

/// One vector.
#[derive(Debug)]
struct Bell {
    eventfd: OwnedFd,
    rung: u64,
}

impl Bells {
    /// Creates the eventfds of `vectors` vectors.
    pub(crate) fn new(vectors: u16) -> io::Result<Self> {
        let bells = (0..vectors)
            .map(|_| Ok(Bell { eventfd: new_eventfd()?, rung: 0 }))
            .collect::<io::Result<_>>()?;
        Ok(Self { bells })
    }

    /// The eventfds, in the order of their vectors.
    pub(crate) fn eventfds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.bells.iter().map(|bell| bell.eventfd.as_fd())
    }

    /// How often each vector was rung.
    pub(crate) fn rung(&self) -> Vec<u64> {
        self.bells.iter().map(|bell| bell.rung).collect()
    }

    /// Number of vectors.
    pub(crate) fn len(&self) -> usize {
        self.bells.len()
    }

    /// Rings `vector` and returns the word its acknowledgement counter must reach.
    pub(crate) fn ring(&mut self, memory: &SharedMemory, vector: u16) -> io::Result<u32> {
        let bell = self.bells.get_mut(usize::from(vector)).ok_or(io::ErrorKind::InvalidInput)?;
        let at = word(offset::RUNG, vector);
        let rung = memory.read(at)?.wrapping_add(1);
        memory.write(at, rung)?;
        bell.rung += 1;
        rustix::io::write(&bell.eventfd, &1_u64.to_ne_bytes())?;
        Ok(rung)
    }

    /// Says whether QEMU has taken every ring.
    pub(crate) fn are_heard(&self) -> io::Result<bool> {
        let mut polled: Vec<_> =
            self.bells.iter().map(|bell| PollFd::new(&bell.eventfd, PollFlags::IN)).collect();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut polled, Some(&now)) {
            Ok(signalled) => Ok(signalled == 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Creates an eventfd that never blocks its reader.
pub(crate) fn new_eventfd() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}
