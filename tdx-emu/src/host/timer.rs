// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a virtual CPU waits for: the end of its APIC timer, or of something that the host does for
//! it. Both are the host's deadline on the physical CPU, whichever comes first.
//!
//! # Orderings
//! Relaxed: only the CPU itself and its interrupt handler use a timer.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::machine::{clock, deadlines};

/// No deadline.
const NEVER: u64 = u64::MAX;

/// Deadlines in nanoseconds.
#[derive(Debug)]
pub(crate) struct Timer {
    apic: AtomicU64,
    host: AtomicU64,
    /// When the host wants to look at something that nobody tells it of.
    look: AtomicU64,
    /// How often the APIC's ended, how often its interrupt was still posted then, and how often an entry
    /// found it posted.
    figures: [AtomicU64; 3],
}

/// Whether the interrupt of the last time is posted still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// It is: the new one merges with it.
    Already,
    /// It is not.
    Not,
}

/// Which deadlines the physical timer met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The APIC timer's.
    pub(crate) apic: bool,
    /// The host's own.
    pub(crate) host: bool,
}

impl Timer {
    /// A timer without deadlines.
    pub(crate) const fn new() -> Self {
        let figures = [const { AtomicU64::new(0) }; 3];
        Self {
            apic: AtomicU64::new(NEVER),
            host: AtomicU64::new(NEVER),
            look: AtomicU64::new(NEVER),
            figures,
        }
    }

    /// The APIC's timer has ended; its interrupt is posted already, or not.
    pub(crate) fn count_end(&self, posted: Posted) {
        self.figures[0].fetch_add(1, Relaxed);
        if posted == Posted::Already {
            self.figures[1].fetch_add(1, Relaxed);
        }
    }

    /// An entry finds the timer's interrupt posted.
    pub(crate) fn recognised(&self) {
        self.figures[2].fetch_add(1, Relaxed);
    }

    /// How often the timer ended, its interrupt merged with the last one, and an entry found it posted.
    pub(crate) fn figures(&self) -> [u64; 3] {
        self.figures.each_ref().map(|figure| figure.load(Relaxed))
    }

    /// Sets the end of the APIC timer.
    pub(crate) fn set_apic(&self, deadline_ns: Option<u64>) {
        self.apic.store(deadline_ns.unwrap_or(NEVER), Relaxed);
        self.arm();
    }

    /// Sets when the host wants to be woken.
    pub(crate) fn set_host(&self, deadline_ns: u64) {
        self.host.store(deadline_ns, Relaxed);
        self.arm();
    }

    /// Sets when the host wants to look, unless it wants to sooner.
    pub(crate) fn look_at(&self, deadline_ns: u64) {
        if self.look.fetch_min(deadline_ns, Relaxed) > deadline_ns {
            self.arm();
        }
    }

    /// Nanoseconds until the end of the APIC timer.
    pub(crate) fn remaining(&self) -> u64 {
        match self.apic.load(Relaxed) {
            NEVER => 0,
            deadline => deadline.saturating_sub(clock::now_ns()),
        }
    }

    /// The physical timer ended: forgets the deadlines that were met and arms it for what is left.
    /// None is met when it ended early, or for L2's deadline, which the module watches.
    pub(crate) fn ended(&self) -> Ended {
        let now = clock::now_ns();
        let met = |deadline: &AtomicU64| {
            let met = deadline.load(Relaxed) <= now;
            if met {
                deadline.store(NEVER, Relaxed);
            }
            met
        };
        let (host, look) = (met(&self.host), met(&self.look));
        let ended = Ended { apic: met(&self.apic), host: host || look };
        self.arm();
        ended
    }

    fn arm(&self) {
        let host = self.host.load(Relaxed).min(self.look.load(Relaxed));
        let first = self.apic.load(Relaxed).min(host);
        deadlines::set_host((first != NEVER).then_some(first));
    }
}
