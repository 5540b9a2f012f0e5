// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pin of a line is masked and opened around what its two devices do, on one CPU after the other.
//!
//! | case       | while the pin is masked                    | when it opens                   |
//! |------------|--------------------------------------------|---------------------------------|
//! | pending    | one device raises                          | it is taken                     |
//! | gone       | one raises and takes back                  | nothing comes                   |
//! | both       | both raise                                 | both are taken                  |
//! | one-gone   | both raise, one takes back                 | the other one is taken, by one interrupt |
//! | on-its-way | the pin was masked right after one raised  | it is taken, once               |
//! | spurious   | one raised and took back right before      | at most one comes, for nothing  |
//!
//! After each round the device raises once more, at the open pin, and that comes: nothing sticks.

use super::OPEN;
use crate::console::line;
use crate::devices::io_apic::{IoApic, MASKED, REMOTE_IRR};
use crate::devices::line::{Device, PIN};
use crate::failure::Failure;
use crate::vectors::LINE;
use crate::{handled, wait};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Pending,
    Gone,
    Both,
    OneGone,
    OnItsWay,
    Spurious,
}

const CASES: [(Case, &str); 6] = [
    (Case::Pending, "pending"),
    (Case::Gone, "gone"),
    (Case::Both, "both"),
    (Case::OneGone, "one-gone"),
    (Case::OnItsWay, "on-its-way"),
    (Case::Spurious, "spurious"),
];

/// Returns how often something was raised that was taken, be it back.
pub(super) fn run(chip: IoApic, devices: &[Device], rounds: u32, cpus: u8) -> Result<u64, Failure> {
    let taken = || devices.iter().map(Device::taken).sum::<u64>();
    let begin = taken();
    for (case, name) in CASES {
        let before = handled::of(LINE);
        for round in 0..rounds {
            let [cpu, ..] = (round % u32::from(cpus)).to_le_bytes();
            turn(case, chip, devices, cpu)?;
        }
        let handled = handled::of(LINE) - before;
        line!("result masked case={name} rounds={rounds} handled={handled}");
    }
    Ok(taken() - begin)
}

/// One round of a case, on `cpu`.
fn turn(case: Case, chip: IoApic, devices: &[Device], cpu: u8) -> Result<(), Failure> {
    let [first, second, ..] = devices else { return Err(Failure::BadDevice("no second one")) };
    let (taken, before) = (|| first.taken() + second.taken(), first.taken() + second.taken());
    let interrupts = handled::of(LINE);
    let came = || handled::of(LINE) - interrupts;
    begin(case, chip, first, cpu);
    chip.turn(PIN, OPEN | MASKED, cpu);
    if matches!(case, Case::Pending | Case::Gone | Case::Both | Case::OneGone) {
        first.raise();
    }
    if matches!(case, Case::Both | Case::OneGone) {
        second.raise();
    }
    wait::until_quiet(wait::SHORT / 100);
    if matches!(case, Case::Gone | Case::OneGone) {
        first.acknowledge();
    }
    if !matches!(case, Case::OnItsWay | Case::Spurious) && came() != 0 {
        return Err(Failure::NotSilent { handled: came() });
    }
    chip.turn(PIN, OPEN, cpu);
    // How often something is taken, and how many interrupts come for it. Of two devices the second one may
    // ask when the first one's handler has looked already; what was on its way is told a second time.
    let (fewest, most, interrupts) = match case {
        Case::Pending => (1, 1, 1),
        Case::Gone => (1, 1, 0),
        Case::Both => (2, 2, 2),
        Case::OneGone => (2, 2, 1),
        Case::OnItsWay => (1, 1, 2),
        Case::Spurious => (0, 1, 2),
    };
    wait::poll_until("what a masked pin has kept", || taken() >= before + fewest)?;
    wait::until_quiet(wait::SHORT / 100);
    if came() > interrupts || !(fewest..=most).contains(&(taken() - before)) {
        return Err(Failure::NotSilent { handled: came() });
    }
    let before = taken();
    first.raise();
    wait::poll_until("the interrupt after a round", || taken() == before + 1)?;
    wait::poll_until("the end of a level", || chip.entry(PIN) & REMOTE_IRR == 0)
}

/// What happens before the pin is masked.
fn begin(case: Case, chip: IoApic, first: &Device, cpu: u8) {
    if matches!(case, Case::OnItsWay | Case::Spurious) {
        chip.turn(PIN, OPEN, cpu);
        first.raise();
    }
    if case == Case::Spurious {
        first.take_back();
    }
}
