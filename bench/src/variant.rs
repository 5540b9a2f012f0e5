// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every way of relaying has in common, so that all are measured by the same code.
//!
//! A way is a table, read on each interrupt and written now and then, and pending bits of each CPU.
//! Ours keeps both in one block; the alternatives share the bits of [`Pending`](crate::variant::Pending), because theirs differ
//! in the table only. Where a design keeps one table for all CPUs, so does its variant.
//!
//! # Orderings
//! [`Pending`](crate::variant::Pending)'s bits carry nothing but themselves, so they are Relaxed. `reader` belongs to whichever
//! variant uses it, which argues its own orderings.

use core::{
    ops::Deref,
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use proxy_irq::{SLOTS, Slot};
use serde::Serialize;

/// How many CPUs take part: one that is measured and one that interferes.
pub const CPUS: usize = 2;

/// The slot that a writer maps and unmaps while others are read.
pub const TOGGLED: usize = SLOTS - 1;

/// What kind of design a variant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// The measuring itself, or one instruction to compare with.
    Yardstick,
    /// The relay's own code.
    Ours,
    /// A table of atomics, or one that readers check afterwards.
    Atomic,
    /// A lock around the table.
    Lock,
    /// Tables that are replaced whole and freed once nobody reads them.
    Reclamation,
    /// The structure of another relay, made again from its description.
    Peer,
}

/// Whether each CPU has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Each CPU its own.
    PerCpu,
    /// One for all.
    Shared,
}

/// What a variant is called and what it is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct About {
    /// Its name in the JSON; stays the same.
    pub id: &'static str,
    /// Its name for a person.
    pub name: &'static str,
    /// What kind of design it is.
    pub family: Family,
    /// Whose its table is.
    pub scope: Scope,
}

/// Vectors that pend on one CPU, and that CPU's word in the schemes that need one.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Pending {
    /// One bit a vector.
    pub irr: [AtomicU32; 8],
    /// Vectors that may not pend, where the design has such a filter.
    pub blocked: [AtomicU32; 8],
    /// What the CPU announces to writers.
    pub reader: AtomicU64,
    /// Whether a bit may be set, where the design has such a flag.
    pub scan: AtomicU8,
}

impl Pending {
    /// Returns a CPU on which nothing pends and nothing is blocked.
    #[must_use]
    pub fn new() -> Self {
        Self {
            irr: Default::default(),
            blocked: Default::default(),
            reader: AtomicU64::new(0),
            scan: AtomicU8::new(0),
        }
    }

    /// Makes `vector` pending: one locked OR, as everyone must who shares the bits with other CPUs.
    #[inline(always)]
    pub fn set(&self, vector: u8) {
        self.irr[usize::from(vector >> 5)].fetch_or(1 << (vector & 31), Relaxed);
    }

    /// Takes all bits.
    pub fn take(&self) -> [u32; 8] {
        core::array::from_fn(|bank| self.irr[bank].swap(0, Relaxed))
    }
}

impl Default for Pending {
    fn default() -> Self {
        Self::new()
    }
}

/// One way of relaying.
pub trait Variant: Sized + 'static {
    /// What it is.
    const ABOUT: About;
    /// What writers and readers share.
    type Table: Send + Sync;
    /// What a reader looks at.
    type View;
    /// A reader's own hold of the view.
    type Local<'a>: Deref<Target = Self::View>;
    /// What the interrupt brings: the slot, or for a remote post the vector.
    type Key: Copy;

    /// Returns a table in which every slot is mapped to [`vector_of`] it.
    fn table() -> Self::Table;

    /// Returns a reader's hold of the table.
    fn local(table: &Self::Table) -> Self::Local<'_>;

    /// Returns what the interrupt of `slot` brings.
    fn key(slot: Slot) -> Self::Key;

    /// Takes an interrupt: what is measured.
    fn post(view: &Self::View, pending: &Pending, key: Self::Key);

    /// Takes one step of unmapping and mapping [`TOGGLED`] over and over, on another CPU than the
    /// reader's. `false` if the step must wait for the reader.
    fn write(table: &Self::Table, cpus: &[Pending; CPUS], turn: u64) -> bool;

    /// What a reader does between two interrupts, outside the measured time.
    fn quiescent(_view: &Self::View, _pending: &Pending) {}

    /// What a reader does before its first interrupt.
    fn online(_view: &Self::View, _pending: &Pending) {}

    /// What a reader does after its last interrupt.
    fn offline(_view: &Self::View, _pending: &Pending) {}

    /// Takes everything that pends.
    fn drain(_view: &Self::View, pending: &Pending) -> [u32; 8] {
        pending.take()
    }
}

/// Returns the vector that slot number `slot` is mapped to.
///
/// Neighbours lie in different dwords, so that back-to-back posts do not wait for each other's
/// stores: single interrupts do not either.
#[must_use]
pub fn vector_of(slot: usize) -> u8 {
    u8::try_from(32 + 35 * (slot % SLOTS) % 224).unwrap_or(u8::MAX)
}

/// Returns the table of a design that has one byte a slot; 0 is no vector.
#[must_use]
pub fn full_table() -> [u8; SLOTS] {
    core::array::from_fn(vector_of)
}

/// Returns what step `turn` of a writer makes of [`TOGGLED`]: nothing, or its vector.
#[must_use]
pub fn toggled(turn: u64) -> u8 {
    if turn.is_multiple_of(2) { 0 } else { vector_of(TOGGLED) }
}
