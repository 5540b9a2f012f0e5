// SPDX-License-Identifier: MIT OR Apache-2.0
//! How things stand while the ways are gone.
//!
//! | word  | what it says |
//! |-------|--------------|
//! | on1   | CPU 1 goes the ways |
//! | level | the first and the last entry share their vectors with level-triggered lines |
//! | full0 | CPU 0 has 32 entries and two more, for which CPU 1 lends its first and its last reserved vector |
//! | full1 | the same the other way round |
//! | echo  | CPU 1 sends an interrupt to CPU 0 for each that it takes |
//!
//! Without `full0` and `full1` the CPU that goes the ways has 32 entries, which are all that it has room for.

use super::{Way, companion};
use crate::devices::doorbell::Doorbell;
use crate::devices::io_apic::{IoApic, LEVEL, MASKED};
use crate::failure::Failure;
use crate::vectors::{self, Set};

/// Entries that fill a CPU's reserved vectors.
const ENTRIES: u16 = 32;

/// The entries for which there is no room; those between them are of the other CPU itself.
const FIRST_LENT: u16 = ENTRIES;
const LAST_LENT: u16 = ENTRIES + 15;

/// Pins of the IO-APIC that nothing is connected to.
const PINS: [u8; 2] = [20, 21];

/// What the words say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SetUp {
    walker: u8,
    full: Option<u8>,
    level: bool,
    echo: bool,
}

impl SetUp {
    /// Reads the words behind a way.
    pub(super) fn named(words: &str) -> Result<Self, Failure> {
        let mut set_up = Self::default();
        for word in words.split_terminator('+') {
            match word {
                "on1" => set_up.walker = 1,
                "level" => set_up.level = true,
                "full0" => set_up.full = Some(0),
                "full1" => set_up.full = Some(1),
                "echo" => set_up.echo = true,
                _ => return Err(Failure::NoScenario),
            }
        }
        Ok(set_up)
    }

    /// The CPU that goes the ways.
    pub(super) fn walker(self) -> u8 {
        self.walker
    }

    /// Whether CPU 1 has to be awake.
    pub(super) fn needs_companion(self, way: Way) -> bool {
        self.walker == 1 || self.full.is_some() || self.echo || way == Way::Served
    }

    /// How many entries it takes.
    pub(super) fn entries(self) -> u16 {
        if self.full.is_some() { LAST_LENT + 1 } else { ENTRIES }
    }

    /// Sets up the entries, and what else the words say.
    pub(super) fn assign(self, bell: &Doorbell) -> Result<(), Failure> {
        let home = self.full.unwrap_or(if self.echo { 1 } else { self.walker });
        (0..ENTRIES).try_for_each(|entry| bell.assign(entry, Set::First, home))?;
        if let Some(full) = self.full {
            lend(bell, full)?;
        }
        if self.echo {
            companion::echo_all();
        }
        if self.level {
            let chip = IoApic::map()?;
            for (pin, entry) in PINS.into_iter().zip([0, ENTRIES - 1]) {
                let vector = vectors::doorbell(Set::First, entry);
                chip.route(pin, LEVEL | MASKED | u32::from(vector), self.walker);
            }
        }
        Ok(())
    }
}

/// Gives the other CPU's first and last reserved vector to CPU `full`.
fn lend(bell: &Doorbell, full: u8) -> Result<(), Failure> {
    bell.assign(FIRST_LENT, Set::First, full)?;
    (FIRST_LENT + 1..LAST_LENT).try_for_each(|entry| bell.assign(entry, Set::First, 1 - full))?;
    // Those that were never used come first: each move takes the next one, the last but one in the end.
    let mut left = ENTRIES - 1 - (LAST_LENT - FIRST_LENT);
    while left != 0 {
        let set = if left.is_multiple_of(2) { Set::Second } else { Set::First };
        bell.assign(LAST_LENT - 1, set, 1 - full)?;
        left -= 1;
    }
    bell.assign(LAST_LENT, Set::First, full)
}
