// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting: asleep for what an interrupt of this CPU announces, awake for everything else.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::instructions::interrupts;

use crate::failure::Failure;
use crate::handled;

/// Ticks of the time-stamp counter after which waiting is given up; 20 s and more on any machine.
const LIMIT: u64 = 1 << 36;

/// Ticks without any interrupt after which none is expected where none is due.
pub(crate) const SHORT: u64 = 20_000_000;

/// Ticks without any interrupt after which all that were due have come.
pub(crate) const LONG: u64 = 500_000_000;

/// Whether the command line asks to wait awake, which makes the wait end with an error, not a hang.
static AWAKE: AtomicBool = AtomicBool::new(false);

/// Makes every later wait one with open eyes.
pub(crate) fn stay_awake() {
    AWAKE.store(true, Ordering::Relaxed);
}

/// Halts until `condition` holds, which only an interrupt of this CPU can bring about.
///
/// The check is made with interrupts off, and `sti; hlt` lets none in between: no wake-up is lost.
pub(crate) fn halt_until(what: &'static str, condition: impl Fn() -> bool) -> Result<(), Failure> {
    if AWAKE.load(Ordering::Relaxed) {
        return poll_until(what, condition);
    }
    loop {
        interrupts::disable();
        if condition() {
            interrupts::enable();
            return Ok(());
        }
        interrupts::enable_and_hlt();
    }
}

/// Looks again and again, with interrupts as they are, until `condition` holds.
pub(crate) fn poll_until(what: &'static str, condition: impl Fn() -> bool) -> Result<(), Failure> {
    let since = cpu::tsc();
    while !condition() {
        if cpu::tsc().wrapping_sub(since) > LIMIT {
            return Err(Failure::TimedOut(what));
        }
        spin_loop();
    }
    Ok(())
}

/// Waits until no interrupt has come for `ticks` of the time-stamp counter.
pub(crate) fn until_quiet(ticks: u64) {
    let mut seen = handled::all();
    let mut since = cpu::tsc();
    while cpu::tsc().wrapping_sub(since) < ticks {
        let now = handled::all();
        if now != seen {
            seen = now;
            since = cpu::tsc();
        }
        spin_loop();
    }
}
