// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which unknown registers are worth a line.
//!
//! A guest may ask for four thousand million registers, in any order and for ever. Each of the first few
//! that it asks for gets one line; after these, lines come at the 1st, 2nd, 4th, 8th … access to any
//! other. So a log says which registers a kernel missed, and no guest can write more than
//! `MOST_LINES` lines or hold another CPU up: nothing is locked.
//!
//! # Orderings
//! All Relaxed: a place is taken by one compare-exchange and holds a number that stands for itself.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Registers that get a line of their own.
pub const PLACES: usize = 32;
/// The most lines in a run: one a place, and one for each power of two that a count can reach.
pub const MOST_LINES: usize = PLACES + 64;

/// In a place: it is taken; the register's number is below.
const TAKEN: u64 = 1 << 32;

/// The registers seen, and how often.
#[derive(Debug)]
pub struct Unknown {
    places: [AtomicU64; PLACES],
    accesses: AtomicU64,
    /// Accesses to registers for which there was no place.
    crowded: AtomicU64,
}

impl Unknown {
    /// None seen.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            places: [const { AtomicU64::new(0) }; PLACES],
            accesses: AtomicU64::new(0),
            crowded: AtomicU64::new(0),
        }
    }

    /// Counts an access to `msr`; says whether a line about it should be written.
    pub fn count(&self, msr: u32) -> bool {
        self.accesses.fetch_add(1, Relaxed);
        let mine = TAKEN | u64::from(msr);
        for place in &self.places {
            match place.compare_exchange(0, mine, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(found) if found == mine => return false,
                Err(_) => {}
            }
        }
        (self.crowded.fetch_add(1, Relaxed).wrapping_add(1)).is_power_of_two()
    }

    /// How many accesses there were.
    #[must_use]
    pub fn accesses(&self) -> u64 {
        self.accesses.load(Relaxed)
    }
}

impl Default for Unknown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_LINES, PLACES, Unknown};

    #[test]
    fn each_register_is_told_of_once() {
        let unknown = Unknown::new();
        assert!(unknown.count(0x480) && unknown.count(0) && unknown.count(u32::MAX));
        assert!(!unknown.count(0x480) && !unknown.count(0) && !unknown.count(u32::MAX));
        assert_eq!(unknown.accesses(), 6);
    }

    #[test]
    fn no_guest_floods_the_log() {
        let unknown = Unknown::new();
        let lines = (0..1_000_000).filter(|msr| unknown.count(*msr)).count();
        assert!(lines > PLACES && lines <= MOST_LINES, "{lines} lines");
        assert_eq!(unknown.accesses(), 1_000_000);
    }
}
