// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonsense in the MSI-X table: every dword in every way, then anywhere, across entries and pages too.

use super::super::exact::{self, Pace};
use super::super::machine::Machine;
use super::access::{Numbers, STORE, every_way, one, some_way};
use crate::console::line;
use crate::failure::Failure;
use crate::vectors::Set;

const ENTRY: u64 = 16;
const PAGE: u64 = 0x1000;
/// Entries of which every dword is accessed in every way.
const THOROUGH: u64 = 3;
/// Accesses anywhere.
const RANDOM: u32 = 2_000;
/// Values that look like messages: a good one, other CPUs, vectors that no CPU takes, other modes.
const LIKELY: [u64; 8] = [0xfee0_0000, 0xfee0_f00c, 0xfeef_f000, 0x4051, 0x0005, 0x0751, 0, 1];

/// Writes nonsense, then uses the entries as if nothing had happened.
pub(super) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let used = machine.entries(8)?;
    let bell = machine.doorbell()?;
    let (table, entries) = (bell.msix().address(), bell.msix().entries());
    let numbers = Numbers::new();
    let mut accesses = 0;
    for offset in (0..THOROUGH * ENTRY).step_by(4) {
        accesses += every_way(table + offset, numbers.next());
    }
    for offset in [1, 2, 3, 5, 7, 13, 15, PAGE - 1, PAGE - 2, PAGE - 4] {
        accesses += every_way(table + offset, numbers.next());
    }
    // A good message in an entry that is not masked, which then gives way to another, or to nonsense.
    for entry in 0..used {
        for value in LIKELY {
            bell.assign(entry, Set::First, 0)?;
            let message = table + u64::from(entry) * ENTRY;
            accesses += one(STORE, message + (numbers.next() & 8), value);
        }
    }
    for _ in 0..RANDOM {
        let offset = numbers.next() % (u64::from(entries) * ENTRY);
        let aligned = if numbers.next().is_multiple_of(4) { offset } else { offset & !3 };
        let value = numbers.of(&LIKELY).unwrap_or(0) ^ (numbers.next() & 1);
        accesses += some_way(&numbers, table + aligned, value);
    }
    line!("result nonsense=msix accesses={accesses}");
    for entry in 0..entries {
        bell.msix().mask(entry);
    }
    exact::assign_all(machine, 0..used)?;
    exact::exact(machine.doorbell()?, Pace::Paced, 0..used, 5)
}
