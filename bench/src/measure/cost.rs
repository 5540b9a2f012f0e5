// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a post costs among many: on one CPU, and with the other CPU doing the same.
//!
//! With two, only batches count during which the other CPU is known to have been at work all the time:
//! each batch is kept with its beginning and end, and those of both are laid side by side.

use std::{sync::Barrier, thread, time::Instant};

use super::effort::Effort;
use crate::{
    machine::{cpus, pin},
    statistics::quantile,
    subject::{Session, Subject},
    ticks,
};

/// Posts in a batch on one CPU.
const ALONE: usize = 3200;

/// Posts in a batch of two CPUs.
const TOGETHER: usize = 3200;

/// From begin to end of a batch, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    begin: u64,
    end: u64,
}

impl Span {
    fn length(self) -> u64 {
        self.end.saturating_sub(self.begin)
    }
}

/// Returns the ticks that a post took, one value a batch.
pub fn alone(subject: &dyn Subject, effort: &Effort) -> Vec<f64> {
    let mut costs = Vec::with_capacity(effort.batches);
    super::pair::alone(|_| {
        subject.session(0, &mut |session| {
            let _warm = session.batch(ALONE);
            costs.extend((0..effort.batches).map(|_| {
                session.quiescent();
                session.batch(ALONE) as f64 / ALONE as f64
            }));
        });
        costs
    })
    .unwrap_or_default()
}

/// Returns the ticks that a post took while the other CPU posted, too: one value a batch.
pub fn together(subject: &dyn Subject, effort: &Effort) -> Vec<f64> {
    let Some(Ok([first, second])) = cpus().get(..2).map(<[usize; 2]>::try_from) else {
        return Vec::new();
    };
    let barrier = Barrier::new(2);
    let run = |index: usize, cpu: usize| {
        pin(cpu);
        let mut spans = Vec::new();
        subject.session(index, &mut |session| {
            barrier.wait();
            spans = batches(session, effort);
        });
        spans
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| run(1, second));
        let ours = scope.spawn(|| run(0, first));
        match (ours.join(), other.join()) {
            (Ok(ours), Ok(other)) => overlapping(&ours, &other),
            _ => Vec::new(),
        }
    })
}

fn batches(session: &dyn Session, effort: &Effort) -> Vec<Span> {
    let (start, mut spans) = (Instant::now(), Vec::new());
    while start.elapsed() < effort.together {
        session.quiescent();
        let begin = ticks::ordered();
        let _taken = session.batch(TOGETHER);
        spans.push(Span { begin, end: ticks::after() });
    }
    spans
}

/// Returns what a post cost in those of `ours` that `other` covers without a break.
fn overlapping(ours: &[Span], other: &[Span]) -> Vec<f64> {
    let lengths: Vec<f64> = other.iter().map(|span| span.length() as f64).collect();
    let usual = quantile(&lengths, 0.5).unwrap_or(0.0);
    let mut first = 0;
    let mut costs = Vec::new();
    for span in ours {
        while other.get(first).is_some_and(|beside| beside.end < span.begin) {
            first += 1;
        }
        let beside = other[first..].iter().take_while(|beside| beside.begin <= span.end);
        let (mut covered, mut usual_all) = (0, true);
        for beside in beside {
            let common = beside.end.min(span.end).saturating_sub(beside.begin.max(span.begin));
            covered += common;
            usual_all &= (beside.length() as f64) < 4.0 * usual;
        }
        if usual_all && covered as f64 > 0.9 * span.length() as f64 {
            costs.push(span.length() as f64 / TOGETHER as f64);
        }
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(bounds: &[(u64, u64)]) -> Vec<Span> {
        bounds.iter().map(|&(begin, end)| Span { begin, end }).collect()
    }

    #[test]
    fn only_batches_that_were_disturbed_throughout_count() {
        let ours = spans(&[(0, 3200), (3500, 6700), (7000, 13_400)]);
        assert_eq!(overlapping(&ours, &spans(&[(0, 3500), (3505, 5000)])), [1.0]);
        let all = spans(&[(0, 3500), (3500, 6750), (6800, 10_000), (10_000, 13_500)]);
        assert_eq!(overlapping(&ours, &all), [1.0, 1.0, 2.0]);
        assert_eq!(overlapping(&ours, &[]), [0.0; 0]);
    }

    #[test]
    fn beside_a_preempted_thread_nothing_counts() {
        let ours = spans(&[(0, 3200), (25_000, 28_200), (45_000, 48_200)]);
        let other = [(0, 3000), (3050, 6000), (6050, 47_500), (47_500, 50_500), (50_550, 53_500)];
        assert_eq!(overlapping(&ours, &spans(&other)), [1.0]);
    }
}
