// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a drain costs: at rest by how much pends, and while another CPU posts all the time.

use core::hint::black_box;
use std::time::Instant;

use super::{
    effort::Effort,
    pair::{Steps, against, alone},
    tail::Tails,
};
use crate::{drains::Drain, results::Pattern, statistics::trimmed_mean, ticks};

/// Drains in a batch.
const BATCH: usize = 256;

/// Samples in a group beside a poster.
const GROUP: usize = 64;

/// How often the poster must have posted meanwhile for a group to count.
const POSTS: u64 = 32;

/// Returns the ticks of one drain of `pattern` without those of the clock: one value a batch.
pub fn at_rest(
    drain: &dyn Drain,
    empty: &dyn Drain,
    pattern: Pattern,
    effort: &Effort,
) -> Vec<f64> {
    let batch = |drain: &dyn Drain| {
        let mut samples = [0; BATCH];
        for sample in &mut samples {
            drain.fill(pattern.count);
            *sample = timed(drain);
            black_box(drain.take());
        }
        trimmed_mean(&mut samples)
    };
    let work = |_: &Steps| (0..effort.batches).map(|_| batch(drain) - batch(empty)).collect();
    alone(work).unwrap_or_default()
}

/// Adds to `tails` what `drain` costs while the other CPU posts vectors all over the range.
pub fn beside_a_poster(drain: &dyn Drain, effort: &Effort, tails: &mut Tails) {
    let post = |turn: u64| {
        drain.post(u8::try_from(32 + turn * 35 % 224).unwrap_or(u8::MAX));
        true
    };
    let measure = |steps: &Steps| {
        let start = Instant::now();
        while start.elapsed() < effort.together {
            let (before, mut samples) = (steps.taken(), [0; GROUP]);
            for sample in &mut samples {
                *sample = timed(drain);
                black_box(drain.take());
            }
            if steps.taken() > before + POSTS {
                tails.add(&samples);
            }
        }
    };
    against(post, measure, || {});
}

#[inline(never)]
fn timed(drain: &dyn Drain) -> u32 {
    let start = ticks::ordered();
    black_box(drain.drain());
    u32::try_from(ticks::after().saturating_sub(start)).unwrap_or(u32::MAX)
}
