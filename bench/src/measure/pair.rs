// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two pinned threads: one measures, the other disturbs until it is told to stop.
//!
//! # Orderings
//! The count of the other's steps is only compared with itself, and the stop flag may be seen late:
//! Relaxed.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use crossbeam_utils::CachePadded;

use crate::machine::{cpus, pin};

/// How far the other thread has come.
#[derive(Debug, Default)]
pub struct Steps {
    taken: CachePadded<AtomicU64>,
    stop: CachePadded<AtomicBool>,
}

impl Steps {
    /// Returns how many steps the other thread has taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }
}

/// Tells the other thread to stop, however the measuring ends.
struct Stopping<'a>(&'a Steps);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Relaxed);
    }
}

/// Measures on the first CPU by `work`, alone.
pub fn alone<T: Send>(work: impl FnOnce(&Steps) -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let measured = scope.spawn(|| {
            pin(cpus().first().copied().unwrap_or(0));
            work(&Steps::default())
        });
        measured.join().ok()
    })
}

/// Measures on the first CPU by `work` while the second does `step` over and over, which tells whether
/// it did anything. `None` if there is no second CPU.
///
/// `idle` is what the measuring thread does at the end, until the other has noticed.
pub fn against<T: Send>(
    step: impl Fn(u64) -> bool + Send,
    work: impl FnOnce(&Steps) -> T + Send,
    idle: impl Fn() + Send,
) -> Option<T> {
    let [first, second] = cpus().get(..2)?.try_into().ok()?;
    let steps = &Steps::default();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            pin(second);
            let mut turn = 0;
            while !steps.stop.load(Relaxed) {
                if step(turn) {
                    turn += 1;
                    steps.taken.store(turn, Relaxed);
                }
            }
        });
        let measured = scope.spawn(move || {
            pin(first);
            let stopping = Stopping(steps);
            let result = work(steps);
            drop(stopping);
            while !other.is_finished() {
                idle();
                core::hint::spin_loop();
            }
            result
        });
        measured.join().ok()
    })
}
