// SPDX-License-Identifier: MIT OR Apache-2.0
//! What it costs to read a cache line that another CPU has just written: the unit of all tails.
//!
//! # Orderings
//! `turn` hands the line over: stored with Release, awaited with Acquire.

use core::{
    hint::{black_box, spin_loop},
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::{
    effort::Effort,
    pair::{Steps, against},
};
use crate::{results::Line, statistics::Histogram, ticks, ticks::Clock};

/// Lines that are written in one turn and read one by one.
const LINES: usize = 8;

/// Measures it.
#[must_use]
pub fn miss(effort: &Effort, clock: &Clock) -> Line {
    let lines: [CachePadded<AtomicU64>; 4 * LINES] =
        core::array::from_fn(|_| CachePadded::default());
    let turn = CachePadded::new(AtomicU64::new(0));
    let write = |_| {
        let given = turn.load(Acquire);
        if given.is_multiple_of(2) {
            return false;
        }
        lines.iter().for_each(|line| line.store(given, Relaxed));
        turn.store(given + 1, Release);
        true
    };
    let read = |_: &Steps| {
        let (start, mut misses, mut nothing) = (Instant::now(), Histogram::new(), Histogram::new());
        while start.elapsed() < 2 * effort.together {
            turn.store(turn.load(Relaxed) + 1, Release);
            while !turn.load(Acquire).is_multiple_of(2) {
                spin_loop();
            }
            // Every fourth line, so that no prefetcher brings the next one along.
            let read = |line: &CachePadded<AtomicU64>| timed(|| line.load(Relaxed));
            misses.add(&core::array::from_fn::<_, LINES, _>(|line| {
                read(&lines[4 * (line * 5 % LINES)])
            }));
            nothing.add(&core::array::from_fn::<_, LINES, _>(|_| timed(|| 0)));
        }
        (misses.quantile(0.5, clock.step), nothing.quantile(0.5, clock.step))
    };
    let (miss, nothing) = against(write, read, || {}).unwrap_or_default();
    let miss_ticks = miss.zip(nothing).map(|(miss, nothing)| miss - nothing);
    Line { miss_ticks, clock_ticks: nothing }
}

#[inline(always)]
fn timed(read: impl FnOnce() -> u64) -> u32 {
    let start = ticks::ordered();
    black_box(read());
    u32::try_from(ticks::after().saturating_sub(start)).unwrap_or(u32::MAX)
}
