// SPDX-License-Identifier: MIT OR Apache-2.0
//! More entries than one CPU has vectors set aside for.
//!
//! What does not fit must be refused where the guest can see it, by the mask bit, and stay silent.
//! Without a paravisor every entry fits. What was refused finds room on another CPU, if there is
//! one.

use super::exact::{self, Pace};
use super::machine::Machine;
use crate::console::line;
use crate::devices::doorbell::{Doorbell, Operation};
use crate::failure::Failure;
use crate::vectors::Set;
use crate::{handled, wait};

/// Rounds of ringing.
const ROUNDS: u32 = 5;

/// Sends all entries to this CPU; then those that were refused to the next.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let (entries, cpus) = (machine.entries(40)?, machine.cpus());
    let bell = machine.doorbell()?;
    let accepted = assign_in_order(bell, 0..entries, 0)?;
    line!("result accepted={accepted} refused={} cpu=0", entries - accepted);
    exact::exact(bell, Pace::Burst, 0..accepted, ROUNDS)?;
    if accepted == entries {
        return Ok(());
    }
    stay_silent(bell, accepted..entries)?;
    if cpus > 1 {
        let more = assign_in_order(bell, accepted..entries, 1)?;
        line!("result accepted={more} refused={} cpu=1", entries - accepted - more);
        // Rings of refused entries may have stayed pending at the device until now.
        wait::until_quiet(wait::LONG);
        exact::exact(bell, Pace::Burst, 0..accepted + more, ROUNDS)?;
    }
    Ok(())
}

/// Assigns `entries` to `cpu` and returns how many were accepted: the first so many of them.
fn assign_in_order(
    bell: &Doorbell,
    entries: core::ops::Range<u16>,
    cpu: u8,
) -> Result<u16, Failure> {
    let mut accepted = 0;
    let first = entries.start;
    for entry in entries {
        match bell.assign(entry, Set::First, cpu) {
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
fn stay_silent(bell: &Doorbell, entries: core::ops::Range<u16>) -> Result<(), Failure> {
    let before = handled::all();
    bell.ask(Operation::Storm, entries, ROUNDS);
    bell.await_done()?;
    wait::until_quiet(wait::LONG);
    match handled::all() - before {
        0 => Ok(()),
        handled => Err(Failure::NotSilent { handled }),
    }
}
