// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts by lines of devices: how often the TD was told of one, and told of its end.
//!
//! # Orderings
//! Relaxed: figures.

use super::counter::Counter;

/// Pins of an IO-APIC.
pub(crate) const PINS: usize = 24;

/// The figures of one pin.
#[derive(Debug)]
pub(crate) struct Line {
    /// The TD was told.
    pub(crate) told: Counter,
    /// The TD said that it was done.
    pub(crate) ended: Counter,
}

/// The figures of all pins.
#[derive(Debug)]
pub(crate) struct Lines([Line; PINS]);

impl Lines {
    /// Nothing counted.
    pub(crate) const fn new() -> Self {
        Self([const { Line { told: Counter::new(), ended: Counter::new() } }; PINS])
    }

    /// The figures of `pin`.
    pub(crate) fn of(&self, pin: u8) -> Option<&Line> {
        self.0.get(usize::from(pin))
    }

    /// How often the TD was told of any.
    pub(crate) fn told(&self) -> u64 {
        self.0.iter().map(|line| line.told.get()).sum()
    }

    /// Pins with interrupts.
    pub(crate) fn used(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.0.iter().enumerate().filter(|(_, line)| line.told.get() != 0)
    }
}
