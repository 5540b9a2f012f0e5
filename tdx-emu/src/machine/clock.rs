// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nanoseconds since boot.
//!
//! The TSC of a CPU under TCG is the host's, at whatever rate that has; under `-icount shift=0` it
//! counts instructions, 1 GHz. The local APIC's timer counts nanoseconds in both cases, so it is
//! the measure. All CPUs see one TSC.
//!
//! # Orderings
//!
//! Both words are written once, by the CPU that boots before it starts the others, and starting a CPU
//! synchronises with it (see `cpus`); `Relaxed` is enough.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::lapic;

/// How long the calibration takes.
const SAMPLE_NS: u32 = 10_000_000;

/// TSC at calibration.
static ORIGIN: AtomicU64 = AtomicU64::new(0);

/// TSC ticks in a microsecond.
static MHZ: AtomicU64 = AtomicU64::new(1000);

/// Reads the time-stamp counter.
pub(crate) fn tsc() -> u64 {
    cpu::tsc()
}

/// Returns the nanoseconds since [`calibrate`], the same on all CPUs.
pub(crate) fn now_ns() -> u64 {
    let ticks = tsc().saturating_sub(ORIGIN.load(Relaxed));
    let mhz = MHZ.load(Relaxed);
    // In two steps, because ticks * 1000 would wrap after some weeks.
    ticks / mhz * 1000 + ticks % mhz * 1000 / mhz
}

/// Returns the TSC ticks in a microsecond.
pub(crate) fn mhz() -> u64 {
    MHZ.load(Relaxed)
}

/// Measures the TSC against the APIC timer.
pub(super) fn calibrate() {
    lapic::count_down_silently(u32::MAX);
    let (first_tsc, first_count) = sample();
    let (last_tsc, last_count) = loop {
        let (tsc, count) = sample();
        if first_count - count >= SAMPLE_NS {
            break (tsc, count);
        }
    };
    lapic::disarm_timer();
    let ns = u64::from(first_count - last_count);
    // Rounded to whole MHz: the rate is round, the measurement is not, and runs under icount have
    // to agree.
    let mhz = ((last_tsc - first_tsc) * 1000 + ns / 2) / ns;
    ORIGIN.store(last_tsc, Relaxed);
    MHZ.store(mhz.max(1), Relaxed);
}

/// Reads both counters at almost the same time: the closest pair of a few.
fn sample() -> (u64, u32) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..8 {
        let before = tsc();
        let count = lapic::timer_count();
        let gap = tsc() - before;
        if gap < best.0 {
            best = (gap, before + gap / 2, count);
        }
    }
    (best.1, best.2)
}
