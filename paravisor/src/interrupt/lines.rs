// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts by lines of the host's devices: the handler notes which, the loop around L2 does the rest.
//!
//! # Orderings
//! A handler sets a line's bit before it calls its own CPU to attention, whose loop takes the bits after
//! it has taken the call, all on one CPU; a bit that another CPU takes first is taken whole, by one
//! read-modify-write. Release and Acquire, so that who takes a bit sees what came before it.

use core::sync::atomic::{AtomicU32, Ordering};

use super::vectors::FIRST_LINE;
use crate::{apic, cpus};

static TOLD: AtomicU32 = AtomicU32::new(0);

/// The host tells of a line. Context: interrupt handler.
pub(super) fn handle(vector: u8) {
    TOLD.fetch_or(1 << (vector - FIRST_LINE), Ordering::Release);
    // This CPU itself looks when its loop comes to it: nobody is kicked.
    let _ = cpus::relay_block(cpus::current()).call_attention();
    apic::end_of_interrupt();
}

/// Takes the lines that the host has told of, a bit each.
#[inline]
pub(crate) fn take() -> u32 {
    if TOLD.load(Ordering::Relaxed) == 0 { 0 } else { TOLD.swap(0, Ordering::Acquire) }
}
