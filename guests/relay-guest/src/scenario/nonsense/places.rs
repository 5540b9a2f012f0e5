// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accesses to and jumps to where nothing is, or what is not this guest's: L1's own memory, holes,
//! devices' pages.

use super::super::machine::Machine;
use super::access::{Numbers, every_way, some_way};
use crate::console::line;
use crate::failure::Failure;
use crate::ring::{self, Mode, Registers};

/// L1's memory in a TD of 128 MiB, right behind it, holes below 4 GiB, the local APIC's old page, the
/// IO-APIC's page beyond its registers, the last page.
const PLACES: [u64; 10] = [
    0x0700_0000,
    0x0743_2108,
    0x07ff_f000,
    0x0800_0000,
    0x4000_0000,
    0xc000_0000,
    0xe000_0ffc,
    0xfee0_0020,
    0xfec0_0800,
    0xffff_fff8,
];

/// Accesses them all in every way, and jumps there in both rings.
pub(super) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let numbers = Numbers::new();
    let mut accesses = 0;
    let mut jumps = 0;
    for place in PLACES {
        accesses += every_way(place, numbers.next());
        for _ in 0..50 {
            let offset = numbers.next() & 0xf_ffff;
            accesses += some_way(&numbers, place & !0xf_ffff | offset, numbers.next());
        }
        for mode in [Mode::Kernel64, Mode::User64] {
            let registers = Registers { rax: place, ..Registers::default() };
            // JMP RAX.
            let end = ring::run(mode, &[0xff, 0xe0], registers, 0);
            let faulted = end.is_some_and(|end| end.vector.is_some());
            jumps += u32::from(faulted);
        }
    }
    line!("result nonsense=places accesses={accesses} jumps={jumps}");
    let table = machine.doorbell()?.msix().address();
    let registers = Registers { rax: table, ..Registers::default() };
    let end = ring::run(Mode::Kernel64, &[0xff, 0xe0], registers, 0);
    match end.and_then(|end| end.vector) {
        Some(_) => Ok(()),
        None => Err(Failure::Instruction("a jump to a table of messages")),
    }
}
