// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device is there and interrupts, then it is taken away while this guest looks at it.

use super::exact::{self, Pace};
use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;
use crate::wait;

/// Configuration space, where nothing is.
const NOTHING: u32 = u32::MAX;
/// A register that a hypervisor cannot answer for by itself: the first base address.
const ADDRESS: u8 = 0x10;
/// More looks than any host waits for.
const LOOKS: u32 = 100_000;

/// Exchanges a few rounds, then looks until the device is gone; edu must still work.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    exact::exchange(machine, Pace::Paced, 4, 5)?;
    let function = machine.doorbell()?.function();
    let Some(looks) = (0..LOOKS).find(|_| function.read(ADDRESS) == NOTHING) else {
        return Err(Failure::TimedOut("the device to be taken away"));
    };
    // Another way through the hypervisor, in which it does what the host has told it.
    wait::until_quiet(wait::LONG);
    let stays_away = function.read(0) == NOTHING && function.read(8) == NOTHING;
    line!("result removal looks={looks} stays_away={}", u8::from(stays_away));
    super::edu::raise(machine, 5)
}
