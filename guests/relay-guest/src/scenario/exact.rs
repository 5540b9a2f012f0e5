// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exact exchanges with the doorbell: the outside end waits, so every ring is one interrupt.

use core::ops::Range;

use super::machine::Machine;
use crate::devices::doorbell::{Doorbell, Operation};
use crate::failure::Failure;
use crate::vectors::{self, MAX_ENTRIES, Set};
use crate::{handled, wait};

/// How much is in flight at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One interrupt.
    Paced,
    /// One of each entry.
    Burst,
}

/// Sets up the entries, exchanges `count` rounds and checks every figure.
pub(crate) fn exchange(
    machine: &mut Machine<'_>,
    pace: Pace,
    entries: u16,
    rounds: u32,
) -> Result<(), Failure> {
    let (entries, rounds) = (machine.entries(entries)?, machine.count(rounds));
    assign_all(machine, 0..entries)?;
    exact(machine.doorbell()?, pace, 0..entries, rounds)
}

/// Sends each of `entries` home, by its first vector.
pub(crate) fn assign_all(machine: &mut Machine<'_>, entries: Range<u16>) -> Result<(), Failure> {
    for entry in entries {
        let home = machine.home(entry);
        machine.doorbell()?.assign(entry, Set::First, home)?;
    }
    Ok(())
}

/// Exchanges `rounds` rounds over `entries`, which are set up and quiet.
pub(crate) fn exact(
    bell: &Doorbell,
    pace: Pace,
    entries: Range<u16>,
    rounds: u32,
) -> Result<(), Failure> {
    entries.clone().for_each(|entry| bell.settle(entry));
    let before = Counts::now();
    let operation = match pace {
        Pace::Paced => Operation::Paced,
        Pace::Burst => Operation::Burst,
    };
    bell.ask(operation, entries.clone(), rounds);
    let wanted = u64::from(rounds);
    let here = || entries.clone().filter(|entry| bell.destination(*entry) == 0);
    wait::halt_until("the doorbell on this CPU", || {
        here().all(|entry| before.since(entry) >= wanted)
    })?;
    bell.await_done()?;
    wait::until_quiet(wait::SHORT);
    all_taken(bell, &before, entries, rounds)
}

/// Checks that each of `entries` was taken `rounds` times since `before`.
pub(crate) fn all_taken(
    bell: &Doorbell,
    before: &Counts,
    mut entries: Range<u16>,
    rounds: u32,
) -> Result<(), Failure> {
    let wanted = u64::from(rounds);
    entries.try_for_each(|entry| {
        let handled = before.since(entry);
        if handled == wanted && bell.is_settled(entry) {
            Ok(())
        } else {
            Err(Failure::Count { entry, wanted, handled })
        }
    })
}

/// How often each entry was taken at some time.
#[derive(Debug)]
pub(crate) struct Counts([u64; MAX_ENTRIES as usize]);

impl Counts {
    /// Takes them down.
    pub(crate) fn now() -> Self {
        Self(core::array::from_fn(|entry| u16::try_from(entry).map_or(0, taken)))
    }

    /// Interrupts of `entry` since then.
    pub(crate) fn since(&self, entry: u16) -> u64 {
        taken(entry) - self.0[usize::from(entry)]
    }
}

/// Interrupts of `entry` so far, by either of its vectors.
pub(crate) fn taken(entry: u16) -> u64 {
    [Set::First, Set::Second].iter().map(|set| handled::of(vectors::doorbell(*set, entry))).sum()
}
