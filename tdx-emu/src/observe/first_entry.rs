// SPDX-License-Identifier: MIT OR Apache-2.0
//! When L2's first instruction ran: what a guest's start is measured from.
//!
//! # Orderings
//!
//! One word, written once; nothing else is read because of it, so `Relaxed` is enough.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Ticks of a clock at an event's first time, 0 before.
#[derive(Debug)]
pub(super) struct FirstEntry(AtomicU64);

impl FirstEntry {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes the time if this is the first time.
    pub(super) fn note(&self, clock: impl FnOnce() -> u64) {
        if self.0.load(Relaxed) == 0 {
            // Another CPU may be as fast; either time will do, but only one of them.
            let _ = self.0.compare_exchange(0, clock().max(1), Relaxed, Relaxed);
        }
    }

    /// Returns the ticks since then, if it was.
    pub(super) fn ticks_to(&self, now: u64) -> Option<u64> {
        let first = self.0.load(Relaxed);
        (first > 0).then(|| now.saturating_sub(first))
    }
}

#[cfg(test)]
mod tests {
    use super::FirstEntry;

    #[test]
    fn only_the_first_time_counts() {
        let entry = FirstEntry::new();
        assert_eq!(entry.ticks_to(9), None);
        entry.note(|| 5);
        entry.note(|| 7);
        assert_eq!(entry.ticks_to(9), Some(4));
        assert_eq!(entry.ticks_to(4), Some(0), "clocks of two CPUs may differ a little");
    }
}
