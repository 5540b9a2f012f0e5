// SPDX-License-Identifier: MIT OR Apache-2.0
//! More entries than one CPU has vectors set aside for.
//!
//! They find room on another CPU, if there is one, and each ring is still one interrupt of the CPU that
//! it is for. What finds none must be refused where the guest can see it, by the mask bit, and stay
//! silent. Without a paravisor every entry fits.

use core::ops::Range;

use super::exact::{self, Pace};
use super::machine::Machine;
use crate::console::line;
use crate::devices::doorbell::{Doorbell, Operation};
use crate::failure::Failure;
use crate::vectors::Set;
use crate::{handled, wait};

/// Rounds of ringing.
const ROUNDS: u32 = 5;

/// Entries that are moved away to make room.
const MOVED: u16 = 16;

/// A vector that no processor takes.
const NO_VECTOR: u8 = 3;

/// Sends all entries to this CPU.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let entries = machine.entries(40)?;
    let bell = machine.doorbell()?;
    fill(bell, entries).map(drop)
}

/// The same; then makes room on this CPU and shows that every entry still works, those that were refused
/// included, without touching them.
pub(crate) fn climb(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let (entries, cpus) = (machine.entries(48)?, machine.cpus());
    let bell = machine.doorbell()?;
    let accepted = fill(bell, entries)?;
    for entry in 0..MOVED {
        if cpus > 1 {
            bell.assign(entry, Set::First, 1)?;
        } else {
            bell.withdraw(entry, NO_VECTOR);
        }
    }
    let refused = (accepted..entries).filter(|entry| bell.msix().is_masked(*entry)).count();
    line!("result climbed={} refused_still={refused}", usize::from(entries - accepted) - refused);
    // Rings of refused entries may have stayed pending at the device until now.
    wait::until_quiet(wait::LONG);
    let working = if cpus > 1 { 0..entries } else { MOVED..entries };
    exact::exact(bell, Pace::Burst, working, ROUNDS)
}

/// Sends `entries` entries to this CPU and returns how many were accepted.
fn fill(bell: &Doorbell, entries: u16) -> Result<u16, Failure> {
    let accepted = assign_in_order(bell, 0..entries)?;
    line!("result accepted={accepted} refused={} cpu=0", entries - accepted);
    exact::exact(bell, Pace::Burst, 0..accepted, ROUNDS)?;
    stay_silent(bell, accepted..entries)?;
    Ok(accepted)
}

/// Assigns `entries` to this CPU and returns how many were accepted: the first so many of them.
fn assign_in_order(bell: &Doorbell, entries: Range<u16>) -> Result<u16, Failure> {
    let mut accepted = 0;
    let first = entries.start;
    for entry in entries {
        match bell.assign(entry, Set::First, 0) {
            Ok(()) if entry == first + accepted => accepted += 1,
            // Room after a refusal: then the refusal was wrong.
            Ok(()) => return Err(Failure::Refused(first + accepted)),
            Err(Failure::Refused(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(accepted)
}

/// Checks that ringing `entries` interrupts nobody.
fn stay_silent(bell: &Doorbell, entries: Range<u16>) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    let before = handled::all();
    bell.ask(Operation::Storm, entries, ROUNDS);
    bell.await_done()?;
    wait::until_quiet(wait::LONG);
    match handled::all() - before {
        0 => Ok(()),
        handled => Err(Failure::NotSilent { handled }),
    }
}
