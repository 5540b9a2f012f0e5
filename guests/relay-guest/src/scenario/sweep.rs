// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same way through the hypervisor, again and again, so that an emulator can ring the doorbell after each of
//! its instructions in turn.
//!
//! Before each way the guest says so by a CPUID leaf that means nothing to anybody else. Afterwards it exits a
//! few times more: whatever is due has arrived then, and whatever would arrive twice, too.
//!
//! | part   | the way that is asked for |
//! |--------|---------------------------|
//! | pass   | none: an interrupt ends the guest's run |
//! | exit   | an exit that the hypervisor answers by itself |
//! | change | a doorbell entry moves to another vector: one mapping begins, another ends |
//! | away   | the same, between two vectors of another CPU |

use core::arch::x86_64::__cpuid;

use super::exact::taken;
use super::machine::Machine;
use crate::console::line;
use crate::devices::doorbell::Doorbell;
use crate::failure::Failure;
use crate::vectors::{MAX_ENTRIES, Set};
use crate::wait;

/// The leaf that says: from here.
const MARK: u32 = 0x4c59_4348;

/// Entries that fill this CPU's reserved vectors.
const ENTRIES: u16 = 32;

/// The entry that moves. Neither its vector nor the next one is at an end of the block.
const MOVED: u16 = 15;

/// A CPU that no machine here has.
const NOWHERE: u8 = 99;

/// Asks for `count` ways of the kind that `part` names.
pub(crate) fn run(part: &str, machine: &mut Machine<'_>) -> Result<(), Failure> {
    let count = machine.count(1000);
    let entries = machine.entries(ENTRIES)?;
    let bell = machine.doorbell()?;
    for entry in 0..entries {
        bell.assign(entry, Set::First, 0)?;
    }
    let way: fn(&Doorbell) -> Result<(), Failure> = match part {
        "pass" => interrupted,
        "exit" => exit,
        "change" => change::<0>,
        "away" => change::<1>,
        _ => return Err(Failure::NoScenario),
    };
    if matches!(part, "change" | "away") {
        // Room for both mappings of the one that moves.
        for entry in [MOVED, MOVED + 1] {
            if bell.assign(entry, Set::First, NOWHERE).is_ok() {
                return Err(Failure::BadDevice("an interrupt for nobody is accepted"));
            }
        }
    }
    (0..count).try_for_each(|_| one(bell, way))?;
    wait::until_quiet(wait::SHORT);
    let rings: u64 = (0..MAX_ENTRIES).map(taken).sum();
    line!("result sweep={part} ways={count} rings={rings}");
    Ok(())
}

/// One way and what follows.
fn one(bell: &Doorbell, way: fn(&Doorbell) -> Result<(), Failure>) -> Result<(), Failure> {
    const MORE: u32 = 3;
    way(bell)?;
    (0..MORE).for_each(|leaf| {
        __cpuid(leaf);
    });
    Ok(())
}

/// Runs without an exit of its own until an interrupt comes, if one does.
fn interrupted(_: &Doorbell) -> Result<(), Failure> {
    const MOMENT: u32 = 200;
    __cpuid(MARK);
    (0..MOMENT).for_each(|_| core::hint::spin_loop());
    Ok(())
}

/// Exits for an instruction.
fn exit(_: &Doorbell) -> Result<(), Failure> {
    __cpuid(MARK);
    __cpuid(0);
    Ok(())
}

/// Moves an entry to its second vector and back. The way back is the one, and it is the same each time: the write
/// that unmasks the entry does it all.
fn change<const CPU: u8>(bell: &Doorbell) -> Result<(), Failure> {
    bell.assign(MOVED, Set::Second, CPU)?;
    bell.announce(MOVED, Set::First, CPU);
    __cpuid(MARK);
    bell.msix().unmask(MOVED)
}
