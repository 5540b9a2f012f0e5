// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts change their way while they are being rung: posted, proxied, posted again.
//!
//! The hypervisor does that when this guest writes a port. The outside end waits for each ring, so one that
//! is lost on the way stops everything, and one that comes twice is seen in the counts.

use core::cell::Cell;

use super::exact::{self, Counts};
use super::machine::Machine;
use crate::console::line;
use crate::devices::doorbell::{Doorbell, Operation};
use crate::failure::Failure;
use crate::{port, wait};

/// The port, and what it takes.
const WAYS: u16 = 0xf5;
const POSTED: u8 = 0;
const PROXIED: u8 = 1;

/// Changes the way of all entries, over and over, while they are rung one by one and in bursts.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let (entries, rounds) = (machine.entries(8)?, machine.count(200));
    exact::assign_all(machine, 0..entries)?;
    let bell = machine.doorbell()?;
    for operation in [Operation::Paced, Operation::Burst] {
        let switches = under_fire(bell, operation, entries, rounds)?;
        line!("result ways switches={switches}");
    }
    Ok(())
}

/// Exchanges `rounds` rounds, changing the way meanwhile; returns how often.
fn under_fire(
    bell: &Doorbell,
    operation: Operation,
    entries: u16,
    rounds: u32,
) -> Result<u32, Failure> {
    (0..entries).for_each(|entry| bell.settle(entry));
    let (before, switches) = (Counts::now(), Cell::new(0_u32));
    bell.ask(operation, 0..entries, rounds);
    wait::poll_until("the doorbell on two ways", || {
        let way = if switches.get().is_multiple_of(2) { PROXIED } else { POSTED };
        port::write8(WAYS, way);
        switches.update(|count| count + 1);
        bell.is_done()
    })?;
    port::write8(WAYS, POSTED);
    bell.await_done()?;
    wait::until_quiet(wait::SHORT);
    exact::all_taken(bell, &before, 0..entries, rounds)?;
    Ok(switches.get())
}
