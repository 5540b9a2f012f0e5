// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was counted in handlers, and elsewhere where nothing may be logged.
//!
//! # Orderings
//! All Relaxed: figures, from which nothing is concluded about anything else.

use core::sync::atomic::{AtomicU64, Ordering};

use paravisor::msr::unknown::Unknown;
use tdcall::ExitReason;

/// One figure. Assembly counts one too, hence the layout.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one and returns how many there were before.
    pub(crate) fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts `count`.
    pub(crate) fn add_many(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts one; says whether a line about it should be written. A cause that repeats gets one at
    /// the 1st, 2nd, 4th, 8th … time: none is hidden and none floods the console.
    pub(crate) fn add_and_tell(&self) -> bool {
        (self.add() + 1).is_power_of_two()
    }

    /// The figure.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $($(#[$doc])* pub(crate) static $name: Counter = Counter::new();)*
    };
}

counters! {
    /// #VE that L1 caused.
    VIRTUALIZATION_EXCEPTIONS,
    /// Vectors that nobody uses.
    UNEXPECTED_INTERRUPTS,
    /// Vector 0xff.
    SPURIOUS_INTERRUPTS,
    /// NMIs.
    NMIS,
    /// Kicks taken.
    KICKS,
    /// L1's timer.
    TIMERS,
    /// Event notifications by the host.
    EVENTS,
    /// Those at which there was nothing new.
    EVENTS_IN_VAIN,
    /// Interrupts of the SynIC.
    SYNIC_INTERRUPTS,
    /// Messages by which the host asked for interrupts of L2.
    PROXY_MESSAGES,
    /// Those that make no sense.
    PROXY_FAULTS,
    /// Vectors that they asked for, before the filter.
    PROXIED,
    /// Calls to the host because another message waited.
    EOMS,
    /// Calls by which a device's interrupt was given a way.
    RETARGETS,
    /// Those that the host refused.
    RETARGETS_REFUSED,
    /// Signals to channels of VMBus.
    VMBUS_SIGNALS,
    /// Messages for VMBus that are none.
    VMBUS_STRAY_MESSAGES,
    /// Quotes that L2 asked for.
    QUOTES_ASKED,
    /// Quotes that L2 got.
    QUOTES_GIVEN,
    /// Answers of the host that were there when it returned from the call.
    QUOTES_AT_ONCE,
    /// Answers that were found because the host had notified.
    QUOTES_NOTIFIED,
    /// Answers that no notification told of: they were there when time was up.
    QUOTES_MISSED,
    /// Requests without an answer when time was up.
    QUOTES_TIMED_OUT,
    /// Answers to requests that had been given up.
    QUOTES_STRAY,
    /// Answers of the host that make no sense.
    QUOTES_NONSENSE,
    /// Failures that the host has answered.
    QUOTES_FAILED,
    /// Requests for which there was no place.
    QUOTES_CROWDED,
    /// Looks at an answer that nothing had told of.
    QUOTE_POLLS,
    /// Exits of L2 that L1's table does not know.
    UNKNOWN_EXITS,
    /// CPUs of L2 that were called to where nothing is.
    MISLED_STARTS,
    /// L2's accesses to addresses that nothing is behind.
    OPEN_BUS,
    /// Devices that the host has taken away.
    REMOVED,
    /// Interrupts of L2's devices that were refused a way.
    REFUSED,
    /// Functions whose interrupts were let go all at once.
    TEARDOWNS,
    /// CPUs that were asked for that, once for each function.
    TEARDOWN_CPUS,
    /// Kicks that it took.
    TEARDOWN_KICKS,
    /// Functions of which a CPU did not let go in time.
    TEARDOWNS_SILENT,
    /// Requests that the host did not serve.
    HOST_REFUSALS,
    /// Crashes that L2 has told of.
    CRASHES,
    /// L2's private accesses to pages that it shares.
    SHARED_TOUCHED,
    /// Events for L2 that no processor would take.
    DROPPED_EVENTS,
}

/// L2's accesses to MSRs that L1 does not know.
pub(crate) static UNKNOWN_MSRS: Unknown = Unknown::new();

/// Reasons have numbers below this; those above share the last place.
const REASONS: usize = 80;

static EXITS: [Counter; REASONS] = [const { Counter::new() }; REASONS];

/// Interrupts on vectors that nobody uses, by vector. Assembly counts some of them.
pub(crate) static UNEXPECTED_OF_VECTOR: [Counter; 256] = [const { Counter::new() }; 256];

/// Messages for vectors that no device has, 0 to 15.
pub(crate) static PROXY_LOW: [Counter; 16] = [const { Counter::new() }; 16];

/// Counts an exit of L2 that L1 handled.
pub(crate) fn count_exit(reason: ExitReason) {
    let number = usize::try_from(reason.basic().0).unwrap_or(REASONS);
    EXITS[number.min(REASONS - 1)].add();
}

/// All reasons for which there were exits, with their number.
pub(crate) fn exits() -> impl Iterator<Item = (ExitReason, u64)> {
    (0..).map(ExitReason).zip(&EXITS).map(|(reason, count)| (reason, count.get()))
}
