// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the relay of one virtual CPU has done, counted by its owner and readable by anyone.
//!
//! The interrupt path counts nothing: the drain does, from the bits it finds. So two interrupts on
//! one vector between two drains are one here, as they are one interrupt to L2, and one that is posted
//! directly while its vector still pends is none; only an observer of the device can tell them apart.
//!
//! What was made pending is not counted but follows from the rest: `relayed = posted + remote - merged`.
//!
//! # Orderings
//! All Relaxed. Each figure has one writer, which therefore needs no locked addition, and nothing is
//! concluded from one figure about another or about memory.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::reserved_vector::{L2Vector, SLOTS, Slot};

/// The owner's counters.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Counters {
    pub(crate) remote: AtomicU64,
    pub(crate) merged: AtomicU64,
    pub(crate) filtered: AtomicU64,
    pub(crate) spurious: AtomicU64,
    pub(crate) spurious_of_slot: [AtomicU32; SLOTS],
    pub(crate) filtered_of_vector: [AtomicU32; 256],
}

/// The figures of one virtual CPU at about one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Vectors found pending from reserved vectors of this CPU.
    pub posted: u64,
    /// Vectors admitted from other CPUs, the proxy path, or L1's emulation.
    pub remote: u64,
    /// Vectors made pending in L2's APIC.
    pub relayed: u64,
    /// Vectors that were already pending in L2's APIC.
    pub merged: u64,
    /// Vectors dropped because L2 had not configured them on this CPU.
    pub filtered: u64,
    /// Interrupts on reserved vectors that map to nothing.
    pub spurious: u64,
    /// Mappings refused because all slots were taken.
    pub refused: u64,
    /// Slots withdrawn because their owner did not answer in time.
    pub quarantined: u64,
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self {
            remote: AtomicU64::new(0),
            merged: AtomicU64::new(0),
            filtered: AtomicU64::new(0),
            spurious: AtomicU64::new(0),
            spurious_of_slot: [const { AtomicU32::new(0) }; SLOTS],
            filtered_of_vector: [const { AtomicU32::new(0) }; 256],
        }
    }

    /// Counts interrupts on the unmapped slots of `bits`.
    #[cold]
    #[inline(never)]
    pub(crate) fn count_spurious(&self, bits: u32) {
        add(&self.spurious, bits.count_ones());
        for slot in Slot::in_bits(bits) {
            add_one(&self.spurious_of_slot[slot.index()]);
        }
    }

    /// Counts the vectors of `bits` in `bank` that the filter has dropped.
    pub(crate) fn count_filtered(&self, bank: usize, bits: u32) {
        add(&self.filtered, bits.count_ones());
        // A bit of a dword and a slot have the same range.
        for bit in Slot::in_bits(bits) {
            if let Some(count) = self.filtered_of_vector.get(32 * bank + bit.index()) {
                add_one(count);
            }
        }
    }

    pub(crate) fn figures(&self, posted: u64) -> Figures {
        let merged = self.merged.load(Relaxed);
        let remote = self.remote.load(Relaxed);
        Figures {
            posted,
            remote,
            relayed: posted.wrapping_add(remote).saturating_sub(merged),
            merged,
            filtered: self.filtered.load(Relaxed),
            spurious: self.spurious.load(Relaxed),
            refused: 0,
            quarantined: 0,
        }
    }
}

impl crate::block::RelayBlock {
    /// Returns how many interrupts `slot` has taken while it mapped to nothing.
    #[must_use]
    pub fn spurious(&self, slot: Slot) -> u32 {
        self.counters.spurious_of_slot[slot.index()].load(Relaxed)
    }

    /// Returns how often the filter has dropped `vector` on this CPU.
    #[must_use]
    pub fn filtered(&self, vector: L2Vector) -> u32 {
        self.counters.filtered_of_vector[usize::from(vector.get())].load(Relaxed)
    }
}

/// Adds to a figure that only the caller's context writes.
pub(crate) fn add(figure: &AtomicU64, amount: u32) {
    figure.store(figure.load(Relaxed).wrapping_add(amount.into()), Relaxed);
}

fn add_one(figure: &AtomicU32) {
    figure.store(figure.load(Relaxed).wrapping_add(1), Relaxed);
}
