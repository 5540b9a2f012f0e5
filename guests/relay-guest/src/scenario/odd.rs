// SPDX-License-Identifier: MIT OR Apache-2.0
//! What no well-behaved guest does: never an end.

use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;

/// Sets the devices up and sleeps for ever, taking what comes.
pub(crate) fn idle(machine: &mut Machine<'_>) -> Result<(), Failure> {
    machine.edu()?.assign(0);
    let entries = machine.entries(8)?;
    super::exact::assign_all(machine, 0..entries)?;
    line!("info  odd: idle for ever");
    loop {
        x86_64::instructions::interrupts::enable_and_hlt();
    }
}
