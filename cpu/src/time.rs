// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time-stamp counter.
#![expect(unsafe_code, reason = "the intrinsic is unsafe")]

use core::arch::x86_64::_rdtsc;

/// Reads the time-stamp counter. Not ordered against other instructions.
#[must_use]
pub fn tsc() -> u64 {
    // SAFETY: RDTSC reads a counter into two registers; every x86-64 CPU has it, and ring 0 may
    // always use it.
    unsafe { _rdtsc() }
}
