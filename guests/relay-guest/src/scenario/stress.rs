// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bursts on every CPU without an end, while the doorbell rings other entries that are masked, moved to other
//! vectors and moved to other CPUs all the time.
//!
//! The first entries, as many on each CPU, are left alone. An emulator that knows the CPUID leaf rings them,
//! `count` times in all, and never one that is still awaited: each ring is one interrupt, and that is checked.
//! Nobody else knows the leaf: elsewhere the scenario fails because nothing comes. The other entries are rung by
//! the doorbell's outside end without waiting, and held to what `unmap` holds them to.

use core::arch::x86_64::__cpuid;

use super::exact::{self, Counts, Pace};
use super::machine::Machine;
use super::unmap::{Fire, silence};
use crate::console::line;
use crate::devices::doorbell::Operation;
use crate::failure::Failure;
use crate::wait;

/// The leaf that says: ring.
const MARK: u32 = 0x4c59_4346;

/// Entries that change.
const CHANGING: u16 = 8;

/// Rounds of the exact exchange at the end.
const PROOF: u32 = 3;

/// After so many interrupts a line tells how far it is.
const TOLD: u64 = 100_000;

/// Ticks without an interrupt after which none will come.
const LIMIT: u64 = 1 << 36;

/// Takes `count` interrupts of bursts under fire.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let (entries, wanted) = (machine.entries(40)?, u64::from(machine.count(100_000)));
    let calm = entries.saturating_sub(CHANGING);
    exact::assign_all(machine, 0..entries)?;
    let mut fire = Fire::new(machine, calm..entries)?;
    let bell = machine.doorbell()?;
    let before = Counts::now();
    let so_far = || (0..calm).map(|entry| before.since(entry)).sum::<u64>();
    bell.ask(Operation::Free, calm..entries, 0);
    __cpuid(MARK);
    let (mut changes, mut seen, mut told, mut since) = (0_u64, 0, 0, cpu::tsc());
    while seen < wanted {
        fire.change_mapping(bell)?;
        changes += 1;
        let now = so_far();
        if now != seen {
            (seen, since) = (now, cpu::tsc());
        } else if cpu::tsc().wrapping_sub(since) > LIMIT {
            return Err(Failure::TimedOut("the bursts"));
        }
        if seen >= told + TOLD {
            told = seen;
            line!("info  stress: handled={seen} changes={changes}");
        }
    }
    silence(bell, calm..entries)?;
    let bursts = so_far();
    let changing: u64 = (calm..entries).map(|entry| before.since(entry)).sum();
    line!("result bursts={bursts} changing={changing} changes={changes}");
    if bursts != wanted {
        return Err(Failure::Count { entry: 0, wanted, handled: bursts });
    }
    exact::assign_all(machine, calm..entries)?;
    // Rings of masked entries may have stayed pending at the device until now.
    wait::until_quiet(wait::LONG);
    exact::exact(machine.doorbell()?, Pace::Paced, 0..entries, PROOF)
}
