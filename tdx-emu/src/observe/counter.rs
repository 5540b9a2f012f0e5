// SPDX-License-Identifier: MIT OR Apache-2.0
//! A number that only grows, counted on one CPU and read by the report.
//!
//! # Orderings
//! Relaxed everywhere: a figure carries no data with it, and the report reads after the TD stopped.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter of events.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// A counter at zero.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one event.
    pub(crate) fn bump(&self) {
        self.add(1);
    }

    /// Counts `events` events.
    pub(crate) fn add(&self, events: u64) {
        self.0.fetch_add(events, Relaxed);
    }

    /// Takes one event back and tells whether there was one.
    pub(crate) fn take_one(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |events| events.checked_sub(1)).is_ok()
    }

    /// Reads the figure.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Reads the figure and starts again at zero.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn an_event_cannot_be_taken_twice() {
        let counter = Counter::new();
        counter.bump();
        assert!(counter.take_one());
        assert!(!counter.take_one());
        assert_eq!(counter.get(), 0);
    }
}
