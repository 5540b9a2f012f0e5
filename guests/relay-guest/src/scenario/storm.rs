// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings without waiting: interrupts may merge but none may be invented, and the path still works.

use super::exact::{self, Counts, Pace};
use super::machine::Machine;
use crate::console::line;
use crate::devices::doorbell::Operation;
use crate::failure::Failure;
use crate::wait;

/// Rounds of the exact exchange at the end.
const PROOF: u32 = 3;

/// Storms, waits for the rest of it, then shows that every entry still works.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let (entries, rounds) = (machine.entries(8)?, machine.count(1000));
    exact::assign_all(machine, 0..entries)?;
    let bell = machine.doorbell()?;
    let before = Counts::now();
    bell.ask(Operation::Storm, 0..entries, rounds);
    bell.await_done()?;
    wait::until_quiet(wait::LONG);
    for entry in 0..entries {
        let (rung, handled) = (u64::from(rounds), before.since(entry));
        line!("info  storm: entry={entry} rung={rung} handled={handled}");
        if handled == 0 || handled > rung {
            return Err(Failure::Invented { entry, rung, handled });
        }
    }
    exact::exact(bell, Pace::Paced, 0..entries, PROOF)
}
