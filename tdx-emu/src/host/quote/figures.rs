// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the quoting service has done.
//!
//! # Orderings
//! Relaxed: figures.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The figures.
#[derive(Debug)]
pub(crate) struct Figures {
    asked: AtomicU64,
    answered: AtomicU64,
    notified: AtomicU64,
}

impl Figures {
    pub(super) const fn new() -> Self {
        let [asked, answered, notified] = [const { AtomicU64::new(0) }; 3];
        Self { asked, answered, notified }
    }

    pub(super) fn asked(&self) {
        self.asked.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Relaxed);
    }

    pub(super) fn notified(&self) {
        self.notified.fetch_add(1, Relaxed);
    }

    /// Whether an even number of requests was answered.
    pub(super) fn is_even(&self) -> bool {
        self.answered.load(Relaxed).is_multiple_of(2)
    }

    /// Whether nothing was ever asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.load(Relaxed) == 0
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [asked, answered, notified] =
            [&self.asked, &self.answered, &self.notified].map(|figure| figure.load(Relaxed));
        write!(f, "asked={asked} answered={answered} notified={notified}")
    }
}
