// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each CPU has sent to others, and for how much of it the other one had to be interrupted.
//!
//! # Orderings
//! All Relaxed: a figure has one writer, its CPU, which therefore needs no locked addition; and nothing
//! is concluded from it about memory.

use core::sync::atomic::{AtomicU64, Ordering};

use log::info;
use proxy_irq::Kick;

use crate::cpus::{self, MAX_VCPUS};

/// How one kind of message went.
#[derive(Debug)]
pub(super) struct Sent {
    messages: AtomicU64,
    kicks: AtomicU64,
}

/// The figures of one CPU, which no other CPU's share a line with.
#[derive(Debug)]
#[repr(align(128))]
struct Figures {
    ipis: Sent,
    forwards: Sent,
}

static FIGURES: [Figures; MAX_VCPUS] =
    [const { Figures { ipis: Sent::new(), forwards: Sent::new() } }; MAX_VCPUS];

/// Interrupts from L2 on this CPU, which is `sender`, to L2 on other CPUs.
pub(super) fn ipis(sender: usize) -> &'static Sent {
    &of(sender).ipis
}

/// Interrupts of devices that this CPU, which is `sender`, took for others.
pub(super) fn forwards(sender: usize) -> &'static Sent {
    &of(sender).forwards
}

/// A line for each of the first `cpus` CPUs and each kind of message that it has sent.
pub(super) fn say(cpus: usize) {
    for cpu in 0..cpus {
        for (kind, sent) in [("ipis", &of(cpu).ipis), ("forwards", &of(cpu).forwards)] {
            let (sent, kicks) = sent.get();
            if sent != 0 {
                let spared = sent.saturating_sub(kicks);
                info!("{kind}: cpu={cpu} sent={sent} kicks={kicks} spared={spared}");
            }
        }
    }
}

impl Sent {
    const fn new() -> Self {
        Self { messages: AtomicU64::new(0), kicks: AtomicU64::new(0) }
    }

    /// Counts a message to CPU `receiver`, and kicks it if the relay says that it must be.
    pub(super) fn deliver(&self, receiver: usize, kick: Kick) {
        add_one(&self.messages);
        if kick == Kick::Needed {
            add_one(&self.kicks);
            cpus::kick(receiver);
        }
    }

    /// How many messages there were, and how many kicks.
    fn get(&self) -> (u64, u64) {
        (self.messages.load(Ordering::Relaxed), self.kicks.load(Ordering::Relaxed))
    }
}

fn of(cpu: usize) -> &'static Figures {
    &FIGURES[cpu % MAX_VCPUS]
}

fn add_one(figure: &AtomicU64) {
    figure.store(figure.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}
