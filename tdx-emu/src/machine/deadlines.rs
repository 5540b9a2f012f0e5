// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two deadlines that share a CPU's timer: the host's, and that of the L2 VM which the TDX
//! module watches with the VMX preemption timer on real hardware.
//!
//! # Orderings
//!
//! Relaxed: only the CPU itself and its interrupt handler use its deadlines.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{
    clock,
    cpus::{self, MAX_CPUS},
    lapic,
};

/// No deadline.
const NEVER: u64 = u64::MAX;

static HOST: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(NEVER) }; MAX_CPUS];
static GUEST: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(NEVER) }; MAX_CPUS];

/// Sets when the host wants an interrupt on this CPU, in nanoseconds since boot.
pub(crate) fn set_host(deadline_ns: Option<u64>) {
    HOST[cpus::current()].store(deadline_ns.unwrap_or(NEVER), Relaxed);
    arm();
}

/// Sets when the guest of this CPU has to stop, in nanoseconds since boot. To be called by the run loop
/// with a deadline that it found to be ahead. Should it have passed since, the timer ends at once: the
/// loop has looked and enters the guest, so nothing else would stop it.
pub(crate) fn set_guest(deadline_ns: Option<u64>) {
    let new = deadline_ns.unwrap_or(NEVER);
    let old = GUEST[cpus::current()].swap(new, Relaxed);
    if old != new || new <= clock::now_ns() {
        arm_with(new);
    }
}

/// Arms the timer for what comes first. A guest's deadline that has passed is left to the run loop,
/// which looks before it enters the guest again; armed here, it would interrupt its own handler for ever.
pub(crate) fn arm() {
    let guest = GUEST[cpus::current()].load(Relaxed);
    arm_with(if guest <= clock::now_ns() { NEVER } else { guest });
}

fn arm_with(guest: u64) {
    match HOST[cpus::current()].load(Relaxed).min(guest) {
        NEVER => lapic::disarm_timer(),
        deadline => lapic::arm_timer(deadline),
    }
}
