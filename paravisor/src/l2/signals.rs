// SPDX-License-Identifier: MIT OR Apache-2.0
//! INIT, start-up and NMI from one CPU to another; and that the host has notified.
//!
//! One word a CPU. The sender sets bits and then calls for the receiver's attention, by the relay block,
//! which also says whether a kick is needed. The receiver takes the call first and looks at its word
//! afterwards, so a signal that comes in between is looked for once more.
//!
//! # Orderings
//! Release by the sender, Acquire by the receiver: a start-up is about memory that the sender wrote,
//! though L2's own ordering already covers that on x86. The call for attention orders the rest.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::cpus::{self, MAX_VCPUS};

/// What a CPU was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Stop and wait for a start.
    Init,
    /// Start in real mode at this page.
    StartUp(u8),
    /// A non-maskable interrupt.
    Nmi,
    /// The host has finished something that this CPU waits for.
    Event,
}

const INIT: u32 = 1 << 8;
const START_UP: u32 = 1 << 9;
const NMI: u32 = 1 << 10;
const EVENT: u32 = 1 << 11;
const PAGE: u32 = 0xff;

static SIGNALS: [AtomicU32; MAX_VCPUS] = [const { AtomicU32::new(0) }; MAX_VCPUS];

/// Tells CPU `index`, and kicks it if it would not look by itself.
pub(super) fn send(index: usize, signal: Signal) {
    let Some(word) = SIGNALS.get(index) else { return };
    let change = |old: u32| {
        Some(match signal {
            // What was sent to L2 before is forgotten with all else, be it a start-up that found nobody
            // waiting. An event is L1's.
            Signal::Init => old & EVENT | INIT,
            Signal::StartUp(page) => old & !PAGE | START_UP | u32::from(page),
            Signal::Nmi => old | NMI,
            Signal::Event => old | EVENT,
        })
    };
    // The change is never refused.
    let _ = word.fetch_update(Ordering::Release, Ordering::Relaxed, change);
    cpus::kick_if_needed(index, cpus::relay_block(index).call_attention());
}

/// Tells CPU `index` that the host has finished something for it. Context: interrupt handler.
pub(super) fn tell_event(index: usize) {
    let Some(word) = SIGNALS.get(index) else { return };
    word.fetch_or(EVENT, Ordering::Release);
    cpus::kick_if_needed(index, cpus::relay_block(index).call_attention());
}

/// Takes what this CPU was told, INIT first.
#[inline]
pub(super) fn take(index: usize) -> Option<Signal> {
    let word = SIGNALS.get(index)?;
    let told = word.load(Ordering::Acquire);
    if told & (INIT | START_UP | NMI | EVENT) == 0 { None } else { take_one(word, told) }
}

#[cold]
fn take_one(word: &AtomicU32, told: u32) -> Option<Signal> {
    let (signal, bits) = if told & INIT != 0 {
        (Signal::Init, INIT)
    } else if told & START_UP != 0 {
        (Signal::StartUp(paravisor::width::low8(told.into())), START_UP)
    } else if told & NMI != 0 {
        (Signal::Nmi, NMI)
    } else if told & EVENT != 0 {
        (Signal::Event, EVENT)
    } else {
        return None;
    };
    word.fetch_and(!bits, Ordering::Acquire);
    Some(signal)
}
