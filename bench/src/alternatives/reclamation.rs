// SPDX-License-Identifier: MIT OR Apache-2.0
//! Read-copy-update: the writer fills a new table, publishes it, and waits until nobody can still
//! read the old one. Two flavours of waiting; the tables are two that take turns, so that nothing
//! needs to be freed.
//!
//! # Orderings
//! The index of the current table is published with Release and read with Acquire. Quiescent states
//! and critical sections are announced by exchanges, which are full barriers; the writer has a
//! `SeqCst` fence between publishing and looking at the announcements.

use core::{
    hint::spin_loop,
    sync::atomic::{
        AtomicUsize,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
        fence,
    },
};

use proxy_irq::Slot;

use crate::{
    alternatives::atomics::Bytes,
    variant::{About, CPUS, Family, Pending, Scope, Variant},
};

/// Two tables that take turns, and which of them is current.
#[derive(Debug)]
pub struct Versions {
    current: AtomicUsize,
    tables: [Bytes; 2],
}

impl Versions {
    fn new() -> Self {
        Self { current: AtomicUsize::new(0), tables: [Bytes::full(), Bytes::full()] }
    }

    #[inline(always)]
    fn read(&self) -> &Bytes {
        &self.tables[self.current.load(Acquire) & 1]
    }

    /// Publishes the other table, changed, and waits until `is_over` for every CPU.
    fn replace(&self, cpus: &[Pending; CPUS], turn: u64, is_over: impl Fn(u64, u64) -> bool) {
        let next = (self.current.load(Relaxed) + 1) & 1;
        self.tables[next].toggle(turn);
        self.current.store(next, Release);
        fence(SeqCst);
        for cpu in cpus {
            let seen = cpu.reader.load(SeqCst);
            while !is_over(seen, cpu.reader.load(SeqCst)) {
                spin_loop();
            }
        }
    }
}

/// Quiescent-state-based reclamation: the reader announces nothing while it reads.
#[derive(Debug)]
pub struct Qsbr;

impl Variant for Qsbr {
    const ABOUT: About =
        About { id: "qsbr", name: "RCU, QSBR", family: Family::Reclamation, scope: Scope::Shared };
    type Table = Versions;
    type View = Versions;
    type Local<'a> = &'a Versions;
    type Key = Slot;

    fn table() -> Versions {
        Versions::new()
    }

    fn local(table: &Versions) -> &Versions {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &Versions, pending: &Pending, slot: Slot) {
        let vector = view.read().get(slot);
        if vector != 0 {
            pending.set(vector);
        }
    }

    fn write(table: &Versions, cpus: &[Pending; CPUS], turn: u64) -> bool {
        table.replace(cpus, turn, |seen, now| seen == 0 || seen != now);
        true
    }

    fn quiescent(_view: &Versions, pending: &Pending) {
        pending.reader.swap(pending.reader.load(Relaxed) + 1, SeqCst);
    }

    fn online(_view: &Versions, pending: &Pending) {
        pending.reader.swap(1, SeqCst);
    }

    fn offline(_view: &Versions, pending: &Pending) {
        pending.reader.swap(0, SeqCst);
    }
}

/// Userspace RCU with full barriers: the reader announces each critical section. The second barrier
/// is the locked OR itself.
#[derive(Debug)]
pub struct Urcu;

impl Variant for Urcu {
    const ABOUT: About = About {
        id: "urcu-mb",
        name: "RCU, full barriers",
        family: Family::Reclamation,
        scope: Scope::Shared,
    };
    type Table = Versions;
    type View = Versions;
    type Local<'a> = &'a Versions;
    type Key = Slot;

    fn table() -> Versions {
        Versions::new()
    }

    fn local(table: &Versions) -> &Versions {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &Versions, pending: &Pending, slot: Slot) {
        pending.reader.swap(1, SeqCst);
        let vector = view.read().get(slot);
        if vector != 0 {
            pending.set(vector);
        }
        pending.reader.store(0, Release);
    }

    fn write(table: &Versions, cpus: &[Pending; CPUS], turn: u64) -> bool {
        table.replace(cpus, turn, |_, now| now == 0);
        true
    }
}
