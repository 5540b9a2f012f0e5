// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much is measured: enough on a machine that others use, or a glance.

use core::time::Duration;

/// How much of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// How often all variants take their turn.
    pub rounds: usize,
    /// How many batches a turn has where batches are short.
    pub batches: usize,
    /// How long a turn of one undisturbed thread lasts.
    pub alone: Duration,
    /// How long a turn of two threads lasts: they must meet.
    pub together: Duration,
}

impl Effort {
    /// For figures to keep.
    pub const FULL: Self = Self {
        rounds: 4,
        batches: 40,
        alone: Duration::from_millis(60),
        together: Duration::from_millis(350),
    };

    /// For a glance.
    pub const QUICK: Self = Self {
        rounds: 1,
        batches: 30,
        alone: Duration::from_millis(25),
        together: Duration::from_millis(90),
    };

    /// For tests: everything is done, and next to nothing is learnt.
    pub const SMOKE: Self = Self {
        rounds: 1,
        batches: 2,
        alone: Duration::from_millis(1),
        together: Duration::from_millis(4),
    };
}
