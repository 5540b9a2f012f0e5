// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `result` lines: one per vector and CPU that had interrupts.

use crate::console::line;
use crate::cpus::MAX_CPUS;
use crate::failure::Failure;
use crate::handled;
use crate::pci::Function;
use crate::vectors;

/// Vectors of interrupts.
const INTERRUPTS: core::ops::RangeInclusive<u8> = 32..=u8::MAX;

/// Prints a line for each vector that each CPU has taken.
pub(crate) fn print(edu: Option<Function>, doorbell: Option<Function>) {
    for vector in INTERRUPTS.filter(|vector| is_of_device(*vector)) {
        let (function, entry) = match vectors::doorbell_entry(vector) {
            Some(entry) => (doorbell, entry),
            None => (edu, 0),
        };
        let Some(function) = function else { continue };
        for cpu in 0..MAX_CPUS {
            let handled = handled::on(vector, cpu);
            if handled > 0 {
                line!(
                    "result vector={vector} cpu={cpu} device={function} entry={entry} handled={handled}"
                );
            }
        }
    }
}

/// Interrupts of both devices.
pub(crate) fn total() -> u64 {
    INTERRUPTS.filter(|vector| is_of_device(*vector)).map(handled::of).sum()
}

/// Checks that no vector was taken that no source has.
pub(crate) fn nothing_unexpected() -> Result<(), Failure> {
    let is_known = |vector: u8| {
        is_of_device(vector)
            || matches!(
                vector,
                vectors::SERIAL
                    | vectors::TIMER
                    | vectors::SOFTWARE
                    | vectors::QUOTE
                    | vectors::ECHO
                    | vectors::LINE
            )
    };
    let unexpected = |vector: &u8| !is_known(*vector) && handled::of(*vector) > 0;
    match INTERRUPTS.into_iter().find(unexpected) {
        None => Ok(()),
        Some(vector) => Err(Failure::Unexpected { vector, handled: handled::of(vector) }),
    }
}

fn is_of_device(vector: u8) -> bool {
    vector == vectors::EDU || vectors::doorbell_entry(vector).is_some()
}
