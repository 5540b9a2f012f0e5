// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs for a virtual CPU, as the host keeps them.
//!
//! One bit: a second NMI that comes before the first was given to the module is the same NMI. The module
//! keeps one bit more, of which the same holds. Nobody learns how many there were but these figures.
//!
//! # Orderings
//! The bit is set with Release and taken with Acquire: whoever takes it sees why it was set. Figures are
//! Relaxed.

use core::{
    fmt,
    sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

/// The NMIs of a virtual CPU.
#[derive(Debug)]
pub(crate) struct Nmis {
    pending: AtomicBool,
    asked: AtomicU64,
    collapsed: AtomicU64,
}

impl Nmis {
    /// None.
    pub(crate) const fn new() -> Self {
        let [asked, collapsed] = [const { AtomicU64::new(0) }; 2];
        Self { pending: AtomicBool::new(false), asked, collapsed }
    }

    /// One more is asked for.
    pub(crate) fn ask(&self) {
        self.asked.fetch_add(1, Relaxed);
        if self.pending.swap(true, AcqRel) {
            self.collapsed.fetch_add(1, Relaxed);
        }
    }

    /// Takes what pends, to give it to the module.
    pub(crate) fn take(&self) -> bool {
        self.pending.swap(false, AcqRel)
    }

    /// The module had one already.
    pub(crate) fn merged(&self) {
        self.collapsed.fetch_add(1, Relaxed);
    }

    /// Whether one pends.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Acquire)
    }

    /// Whether none was ever asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.load(Relaxed) == 0
    }
}

impl fmt::Display for Nmis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (asked, collapsed) = (self.asked.load(Relaxed), self.collapsed.load(Relaxed));
        write!(f, "asked={asked} collapsed={collapsed}")
    }
}

/// How a virtual CPU halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It takes interrupts.
    Open,
    /// It takes none, whatever is posted.
    Blocked,
}

impl Halt {
    /// What R12 of the call says.
    pub(crate) const fn of(r12: u64) -> Self {
        if r12 & 1 == 0 { Self::Open } else { Self::Blocked }
    }

    /// Whether the halt ends. An interrupt ends it if interrupts are not blocked, an NMI in any case.
    pub(crate) fn ends(self, nmis: &Nmis, has_interrupt: impl FnOnce() -> bool) -> bool {
        nmis.is_pending() || self == Self::Open && has_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::{Halt, Nmis};

    #[test]
    fn nmis_collapse_into_one_that_is_taken_once() {
        let nmis = Nmis::new();
        assert!(nmis.is_empty() && !nmis.take());
        (0..3).for_each(|_| nmis.ask());
        assert!(nmis.is_pending() && nmis.take());
        assert!(!nmis.is_pending() && !nmis.take());
        assert_eq!(nmis.to_string(), "asked=3 collapsed=2");
        nmis.ask();
        assert!(nmis.take());
        assert_eq!(nmis.to_string(), "asked=4 collapsed=2");
    }

    #[test]
    fn a_blocked_halt_ends_by_an_nmi_alone() {
        let nmis = Nmis::new();
        assert!(!Halt::of(1).ends(&nmis, || true));
        assert!(Halt::of(0).ends(&nmis, || true) && !Halt::of(0).ends(&nmis, || false));
        nmis.ask();
        assert!(Halt::of(1).ends(&nmis, || false) && Halt::of(0).ends(&nmis, || false));
    }
}
