// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a command out of the shared memory and carries it out.
//!
//! The guest writes the words of a command, then its sequence number, then rings our doorbell. The
//! doorbell is a hint only: what counts is that the sequence number differs from the last one.

use core::time::Duration;
use std::io;
use std::thread;
use std::time::Instant;

use crate::bells::{Bells, word};
use crate::layout::{Abort, Opcode, offset};
use crate::memory::SharedMemory;

/// How long an acknowledgement may take before the command is given up.
const ACK_LIMIT: Duration = Duration::from_secs(10);

/// Looks at the counter without sleeping this often, then sleeps between looks.
const EAGER_LOOKS: u32 = 32;

/// Pause between two looks at a counter, short against one interrupt of an emulated guest.
const LOOK_PAUSE: Duration = Duration::from_micros(50);

/// Pause between two rounds of [`Opcode::FREE`].
const FREE_PAUSE: Duration = Duration::from_millis(1);

/// What the guest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    sequence: u32,
    pub(crate) opcode: Opcode,
    first: u32,
    count: u32,
    rounds: u32,
}

/// Why a command stopped before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The guest's fault, reported to it and noted.
    Abort(Abort, String),
    /// QEMU has gone or the owner wants the end.
    Ended,
    /// The shared memory or an eventfd failed.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Everything a command works on.
pub(crate) struct Workplace<'a> {
    pub(crate) memory: &'a SharedMemory,
    pub(crate) bells: &'a mut Bells,
    /// Says whether QEMU has gone or the owner wants the end.
    pub(crate) ended: &'a dyn Fn() -> bool,
}

impl Command {
    /// Reads the newest command, if its sequence number is not `last`.
    pub(crate) fn newest(memory: &SharedMemory, last: u32) -> io::Result<Option<Self>> {
        let sequence = memory.read(offset::SEQUENCE)?;
        if sequence == last {
            return Ok(None);
        }
        Ok(Some(Self {
            sequence,
            opcode: Opcode(memory.read(offset::OPCODE)?),
            first: memory.read(offset::FIRST)?,
            count: memory.read(offset::COUNT)?,
            rounds: memory.read(offset::ROUNDS)?,
        }))
    }

    /// Number by which the guest will know that it is done.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Carries the command out.
    pub(crate) fn run(&self, at: &mut Workplace<'_>) -> Result<(), Stop> {
        if self.opcode == Opcode::QUIT {
            return Ok(());
        }
        let vectors = self.vectors(at.bells.len())?;
        match self.opcode {
            Opcode::PACED => self.rounds(|_| {
                for &vector in &vectors {
                    let goal = at.bells.ring(at.memory, vector)?;
                    self.await_ack(at, vector, goal)?;
                }
                Ok(())
            }),
            Opcode::BURST => self.rounds(|_| {
                let goals = ring_all(at, &vectors)?;
                for (&vector, &goal) in vectors.iter().zip(&goals) {
                    self.await_ack(at, vector, goal)?;
                }
                Ok(())
            }),
            Opcode::STORM => {
                self.rounds(|_| ring_all(at, &vectors).map(drop))?;
                self.await_hearing(at)
            }
            Opcode::FREE => {
                self.ring_freely(at, &vectors)?;
                self.await_hearing(at)
            }
            unknown => Err(self.refused(&format!("opcode {} is unknown", unknown.0))),
        }
    }

    /// Calls `round` as often as the guest wants.
    fn rounds(&self, round: impl FnMut(u32) -> Result<(), Stop>) -> Result<(), Stop> {
        (0..self.rounds).try_for_each(round)
    }

    /// Rings all vectors about once a millisecond until the guest writes another command.
    fn ring_freely(&self, at: &mut Workplace<'_>, vectors: &[u16]) -> Result<(), Stop> {
        while at.memory.read(offset::SEQUENCE)? == self.sequence {
            if (at.ended)() {
                return Err(Stop::Ended);
            }
            ring_all(at, vectors)?;
            thread::sleep(FREE_PAUSE);
        }
        Ok(())
    }

    /// The vectors to ring, or the guest's mistake.
    fn vectors(&self, available: usize) -> Result<Vec<u16>, Stop> {
        let end = u64::from(self.first) + u64::from(self.count);
        if self.count == 0 || usize::try_from(end).is_ok_and(|end| end > available) {
            let message = format!("{} vectors from {} of {available}", self.count, self.first);
            return Err(self.refused(&message));
        }
        (self.first..self.first + self.count)
            .map(|vector| u16::try_from(vector).map_err(|_| self.refused("vector too large")))
            .collect()
    }

    /// The stop that tells the guest of its mistake.
    fn refused(&self, why: &str) -> Stop {
        Stop::Abort(Abort::BAD_COMMAND, format!("command {}: {why}", self.sequence))
    }

    /// Waits until the guest has acknowledged `vector` `goal` times.
    fn await_ack(&self, at: &Workplace<'_>, vector: u16, goal: u32) -> Result<(), Stop> {
        let acks = || at.memory.read(word(offset::ACKS, vector));
        // More than there were rings is the guest's to notice, and no reason to wait.
        if at.wait_until(|| Ok(acks()?.wrapping_sub(goal) <= u32::MAX / 2))? {
            return Ok(());
        }
        let acks = acks()?;
        Err(self
            .timed_out(&format!("vector {vector} rung {goal} times, acknowledged {acks} times")))
    }

    /// Waits until QEMU has heard all rings: the guest is told "done" when none is under way.
    fn await_hearing(&self, at: &Workplace<'_>) -> Result<(), Stop> {
        if at.wait_until(|| at.bells.are_heard())? {
            return Ok(());
        }
        Err(self.timed_out("QEMU does not hear all rings"))
    }

    /// The stop that tells the guest of a missing answer.
    fn timed_out(&self, why: &str) -> Stop {
        Stop::Abort(Abort::ACK_TIMEOUT, format!("command {}: {why}", self.sequence))
    }
}

impl Workplace<'_> {
    /// Waits until `condition` holds; says false if that takes longer than [`ACK_LIMIT`].
    fn wait_until(&self, condition: impl Fn() -> io::Result<bool>) -> Result<bool, Stop> {
        let since = Instant::now();
        for look in 0_u32.. {
            if condition()? {
                break;
            }
            if look < EAGER_LOOKS {
                thread::yield_now();
                continue;
            }
            if (self.ended)() {
                return Err(Stop::Ended);
            }
            if since.elapsed() > ACK_LIMIT {
                return Ok(false);
            }
            thread::sleep(LOOK_PAUSE);
        }
        Ok(true)
    }
}

/// Rings all `vectors` once and returns the acknowledgement counts to expect.
fn ring_all(at: &mut Workplace<'_>, vectors: &[u16]) -> Result<Vec<u32>, Stop> {
    vectors.iter().map(|&vector| Ok(at.bells.ring(at.memory, vector)?)).collect()
}
