// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entries that must stay silent: one never set up, one set up and masked again.

use super::exact::{self, Pace};
use super::machine::Machine;
use crate::devices::doorbell::Operation;
use crate::failure::Failure;
use crate::{handled, wait};

/// Entries in use: two that work, one of which is masked later, and one nobody set up.
const WORKING: u16 = 0;
const MASKED_LATER: u16 = 1;
const NEVER_SET_UP: u16 = 2;

/// Rings all three and expects the one.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let rounds = machine.count(20);
    machine.entries(NEVER_SET_UP + 1)?;
    exact::assign_all(machine, WORKING..NEVER_SET_UP)?;
    let bell = machine.doorbell()?;
    exact::exact(bell, Pace::Paced, WORKING..NEVER_SET_UP, rounds)?;
    bell.msix().mask(MASKED_LATER);
    let before = handled::all();
    bell.ask(Operation::Storm, MASKED_LATER..NEVER_SET_UP + 1, rounds);
    bell.await_done()?;
    wait::until_quiet(wait::LONG);
    match handled::all() - before {
        0 => exact::exact(bell, Pace::Paced, WORKING..MASKED_LATER, rounds),
        handled => Err(Failure::NotSilent { handled }),
    }
}
