// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same way through the hypervisor, again and again, so that an emulator can ring the doorbell after each of
//! its instructions in turn.
//!
//! Before each way the guest says so by a CPUID leaf that means nothing to anybody else. Afterwards it exits a
//! few times more: whatever is due has arrived then, and whatever would arrive twice, too.
//!
//! | way    | what is asked for |
//! |--------|-------------------|
//! | pass   | nothing: an interrupt ends the guest's run |
//! | exit   | an exit that the hypervisor answers by itself |
//! | change | a doorbell entry moves to another vector: one mapping begins, another ends |
//! | away   | the same, between two vectors of another CPU |
//! | served | the other half of it: CPU 1 goes it, and is interrupted to let a mapping go |
//!
//! Words behind the way, each after a plus sign, say how things stand meanwhile: see `set_up`.

use core::arch::x86_64::__cpuid;

use super::exact::taken;
use super::machine::Machine;
use crate::console::line;
use crate::devices::doorbell::Doorbell;
use crate::failure::Failure;
use crate::vectors::{self, MAX_ENTRIES, Set};
use crate::{handled, wait};

/// How things stand.
mod set_up;

/// The other CPU.
mod companion;

use self::set_up::SetUp;

/// The leaf that says: from here.
const MARK: u32 = 0x4c59_4348;

/// The entry that moves. Neither its vector nor the next one is at an end of the block.
const MOVED: u16 = 15;

/// A CPU that no machine here has.
const NOWHERE: u8 = 99;

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Pass,
    Exit,
    Change,
    Away,
    Served,
}

/// Asks for `count` ways of the kind that `part` names.
pub(crate) fn run(part: &str, machine: &mut Machine<'_>) -> Result<(), Failure> {
    let (way, words) = part.split_once('+').unwrap_or((part, ""));
    let way = Way::named(way).ok_or(Failure::NoScenario)?;
    let set_up = SetUp::named(words)?;
    let count = machine.count(1000);
    if set_up.needs_companion(way) && machine.cpus() != 2 {
        return Err(Failure::BadDevice("two CPUs wanted"));
    }
    machine.entries(set_up.entries())?;
    let bell = machine.doorbell()?;
    set_up.assign(bell)?;
    if matches!(way, Way::Change | Way::Away | Way::Served) {
        make_room(bell)?;
    }
    if set_up.needs_companion(way) {
        companion::start()?;
    }
    for _ in 0..count {
        match way {
            Way::Served => companion::serve_change(bell)?,
            _ if set_up.walker() == 1 => companion::go(way)?,
            _ => one(way, bell)?,
        }
    }
    wait::until_quiet(wait::LONG);
    let rings: u64 = (0..MAX_ENTRIES).map(taken).sum();
    let echoes = handled::of(vectors::ECHO);
    line!("result sweep={part} ways={count} rings={rings} echoes={echoes}");
    Ok(())
}

impl Way {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "pass" => Self::Pass,
            "exit" => Self::Exit,
            "change" => Self::Change,
            "away" => Self::Away,
            "served" => Self::Served,
            _ => return None,
        })
    }
}

/// Makes room for both mappings of the entry that moves.
fn make_room(bell: &Doorbell) -> Result<(), Failure> {
    for entry in [MOVED, MOVED + 1] {
        if bell.assign(entry, Set::First, NOWHERE).is_ok() {
            return Err(Failure::BadDevice("an interrupt for nobody is accepted"));
        }
    }
    Ok(())
}

/// One way and what follows.
fn one(way: Way, bell: &Doorbell) -> Result<(), Failure> {
    match way {
        Way::Change => change(bell, 0)?,
        Way::Away => change(bell, 1)?,
        _ => alone(way),
    }
    settle();
    Ok(())
}

/// A way that takes no device.
fn alone(way: Way) {
    let before = handled::all();
    __cpuid(MARK);
    match way {
        // Runs without an exit of its own until an interrupt comes, if one does.
        Way::Pass => {
            let since = cpu::tsc();
            while handled::all() == before && cpu::tsc().wrapping_sub(since) < wait::SHORT {
                core::hint::spin_loop();
            }
        }
        _ => {
            __cpuid(0);
        }
    }
}

/// Exits a few times more.
fn settle() {
    const MORE: u32 = 3;
    (0..MORE).for_each(|leaf| {
        __cpuid(leaf);
    });
}

/// Moves an entry to its second vector and back. The way back is the one, and it is the same each time: the write
/// that unmasks the entry does it all.
fn change(bell: &Doorbell, cpu: u8) -> Result<(), Failure> {
    bell.assign(MOVED, Set::Second, cpu)?;
    bell.announce(MOVED, Set::First, cpu);
    __cpuid(MARK);
    bell.msix().unmask(MOVED)
}
