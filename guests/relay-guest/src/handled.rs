// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often each vector was taken, per CPU. The handlers count; the boot CPU reads.
//!
//! # Orderings
//! A handler increases its count with Release; the boot CPU reads it with Acquire. A count says
//! that a handler has begun. That it has ended is said by the device's own counters.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpus::MAX_CPUS;

/// Counts of one CPU.
type Row = [AtomicU64; 256];

/// Interrupts of any vector on any CPU.
static ALL: AtomicU64 = AtomicU64::new(0);

static HANDLED: [Row; MAX_CPUS as usize] =
    [const { [const { AtomicU64::new(0) }; 256] }; MAX_CPUS as usize];

/// Counts one interrupt.
pub(crate) fn count(vector: u8, cpu: u8) {
    if let Some(count) = at(vector, cpu) {
        count.fetch_add(1, Ordering::Release);
        ALL.fetch_add(1, Ordering::Release);
    }
}

/// Interrupts of `vector` that `cpu` has taken.
pub(crate) fn on(vector: u8, cpu: u8) -> u64 {
    at(vector, cpu).map_or(0, |count| count.load(Ordering::Acquire))
}

/// Interrupts of `vector` that all CPUs have taken.
pub(crate) fn of(vector: u8) -> u64 {
    HANDLED.iter().map(|row| row[usize::from(vector)].load(Ordering::Acquire)).sum()
}

/// Interrupts of any vector on any CPU.
pub(crate) fn all() -> u64 {
    ALL.load(Ordering::Acquire)
}

fn at(vector: u8, cpu: u8) -> Option<&'static AtomicU64> {
    HANDLED.get(usize::from(cpu))?.get(usize::from(vector))
}
