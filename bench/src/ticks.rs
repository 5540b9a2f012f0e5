// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time, as the processor counts it.
#![expect(unsafe_code, reason = "the time-stamp counter has no safe intrinsic")]

use core::arch::x86_64::{__rdtscp, _mm_lfence, _rdtsc};
use std::time::Instant;

/// Returns the time-stamp counter, after all earlier instructions and before all later ones.
#[must_use]
#[inline(always)]
pub fn ordered() -> u64 {
    // SAFETY: every x86-64 processor has SSE2 and with it this instruction; it touches no memory.
    unsafe { _mm_lfence() };
    // SAFETY: the target always has this instruction, and Linux lets programs use it.
    let ticks = unsafe { _rdtsc() };
    // SAFETY: as above.
    unsafe { _mm_lfence() };
    ticks
}

/// Returns the time-stamp counter, after all earlier instructions have been executed.
#[must_use]
#[inline(always)]
pub fn after() -> u64 {
    let mut cpu = 0;
    // SAFETY: every processor that runs this has RDTSCP; `cpu` is a place for its other result.
    let ticks = unsafe { __rdtscp(&raw mut cpu) };
    // SAFETY: as in `ordered`.
    unsafe { _mm_lfence() };
    ticks
}

/// Returns `value`, of which the compiler then knows nothing; costs no instruction.
#[must_use]
#[inline(always)]
pub fn opaque(mut value: usize) -> usize {
    // SAFETY: there is no instruction.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) value, options(nomem, nostack, preserves_flags));
    };
    value
}

/// What a tick is on this machine.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Clock {
    /// Nanoseconds a tick.
    pub ns_per_tick: f64,
    /// Cycles of the core a tick.
    pub cycles_per_tick: f64,
    /// The counter moves in steps of so many ticks.
    pub step: u64,
}

impl Clock {
    /// Measures it.
    #[must_use]
    pub fn calibrate() -> Self {
        let (start, ticks) = (Instant::now(), ordered());
        let cycles_per_tick = (0..400).map(|_| cycles_per_tick()).fold(0.0, f64::max);
        let step = (0..20_000)
            .map(|_| (ordered(), after()))
            .map(|(before, after)| after.saturating_sub(before))
            .fold(0, greatest_common_divisor);
        while start.elapsed().as_millis() < 50 {}
        let ticks = after().saturating_sub(ticks).max(1);
        let ns_per_tick = start.elapsed().as_nanos() as f64 / ticks as f64;
        Self { ns_per_tick, cycles_per_tick, step: step.max(1) }
    }

    /// Turns ticks into nanoseconds.
    #[must_use]
    pub fn ns(&self, ticks: f64) -> f64 {
        ticks * self.ns_per_tick
    }

    /// Turns ticks into cycles of the core.
    #[must_use]
    pub fn cycles(&self, ticks: f64) -> f64 {
        ticks * self.cycles_per_tick
    }
}

/// Returns how many dependent additions, one a cycle, fit in a tick.
fn cycles_per_tick() -> f64 {
    const TURNS: u32 = 2000;
    let start = ordered();
    let mut sum = 1_u64;
    for _ in 0..TURNS {
        // SAFETY: the instructions change the operand and the flags, nothing else.
        unsafe {
            core::arch::asm!(
                "add {0}, {1}", "add {0}, {1}", "add {0}, {1}", "add {0}, {1}", "add {0}, {1}",
                "add {0}, {1}", "add {0}, {1}", "add {0}, {1}", "add {0}, {1}", "add {0}, {1}",
                inout(reg) sum, in(reg) sum, options(nomem, nostack)
            );
        }
    }
    let ticks = after().saturating_sub(start).max(1);
    core::hint::black_box(sum);
    f64::from(10 * TURNS) / ticks as f64
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_divides_all_differences() {
        assert_eq!([52, 26, 78].into_iter().fold(0, greatest_common_divisor), 26);
        assert_eq!([52, 53].into_iter().fold(0, greatest_common_divisor), 1);
    }

    #[test]
    fn time_passes() {
        let clock = Clock::calibrate();
        assert!(clock.ns_per_tick > 0.0 && clock.cycles_per_tick > 0.0 && clock.step > 0);
        assert!((clock.ns(10.0) - 10.0 * clock.ns_per_tick).abs() < 1e-9);
    }
}
