// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a sweep has counted.

/// Figures of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    /// Walks that began.
    pub(super) walks: u64,
    /// Interrupts that were rung.
    pub(super) rings: u64,
    /// Interrupts that L2 took, of these and of the starters.
    pub(super) delivered: u64,
    /// Walks that ended with a refused entry.
    pub(super) refused: u64,
    /// Boundaries at which the vector stood for nothing.
    pub(super) unmapped: u64,
    /// Rings at another instruction than the reference has there.
    pub(super) astray: u64,
    /// Interrupts that L2 took once too often.
    pub(super) twice: u64,
    /// Walks that did not begin because something was still awaited.
    pub(super) late: u64,
    /// Walks that ended before they were rung at.
    pub(super) short: u64,
    /// Walks after which L2 ran without taking what was awaited.
    pub(super) tardy: u64,
    /// Interrupts that L2 took before one of higher priority.
    pub(super) inverted: u64,
    /// Rings on another CPU that it did not post in time.
    pub(super) unanswered: u64,
    /// Rings that had to wait in a bank.
    pub(super) banked: u64,
    /// Starters that are awaited.
    pub(super) starts: u64,
}

impl Figures {
    pub(super) const NEW: Self = Self {
        walks: 0,
        rings: 0,
        delivered: 0,
        refused: 0,
        unmapped: 0,
        astray: 0,
        twice: 0,
        late: 0,
        short: 0,
        tardy: 0,
        inverted: 0,
        unanswered: 0,
        banked: 0,
        starts: 0,
    };
}
