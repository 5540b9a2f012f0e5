// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU switches edu's access to memory off and on, over and over, as a driver does that comes or
//! goes, while the doorbell interrupts the boot CPU. Every ring is still one interrupt.
//!
//! Each switch makes the machine call all CPUs out of what they do. That must happen in handlers, too,
//! so each handler waits for a few.

use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use spin::Once;

use super::exact::{self, Pace};
use super::machine::Machine;
use crate::console::line;
use crate::devices::edu::Edu;
use crate::failure::Failure;
use crate::pci::Function;
use crate::vectors::Set;
use crate::{cpus, interrupts};

const SWITCHER: u8 = 1;

/// How many switches a handler sees.
const SEEN: u32 = 3;

static SWITCHED: Once<Function> = Once::new();
static SWITCHES: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

/// Exchanges bursts with the doorbell meanwhile.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let (entries, rounds) = (machine.entries(8)?, machine.count(10));
    let edu = Edu::function(machine.edu()?);
    SWITCHED.call_once(|| edu);
    let bell = machine.doorbell()?;
    (0..entries).try_for_each(|entry| bell.assign(entry, Set::First, 0))?;
    // From here on only the switcher uses configuration space.
    cpus::put_to_work(SWITCHER, switch);
    interrupts::DELAY.call_once(|| wait_for_switches);
    let exchanged = exact::exact(bell, Pace::Burst, 0..entries, rounds);
    STOP.store(true, Ordering::Relaxed);
    line!("result switches={}", SWITCHES.load(Ordering::Relaxed));
    exchanged
}

/// The other CPU.
fn switch() {
    let Some(function) = SWITCHED.get() else { return };
    while !STOP.load(Ordering::Relaxed) {
        function.switch_master();
        SWITCHES.fetch_add(1, Ordering::Relaxed);
    }
}

/// The boot CPU's handlers. PAUSE would make the machine look at what it was asked at once.
fn wait_for_switches() {
    let before = SWITCHES.load(Ordering::Relaxed);
    while SWITCHES.load(Ordering::Relaxed).wrapping_sub(before) < SEEN {
        black_box(());
    }
}
