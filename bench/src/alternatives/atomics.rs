// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table of atomic bytes, a seqlock, and the yardsticks.
//!
//! # Orderings
//! A table of independent bytes needs none. The seqlock's are the usual ones: the writer makes the
//! count odd before the data and even after it, both behind Release fences or stores; the reader
//! loads the count with Acquire before, and orders its data loads before its second look by an
//! Acquire fence.

use core::{
    hint::spin_loop,
    sync::atomic::{
        AtomicU8, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
        fence,
    },
};

use proxy_irq::{SLOTS, Slot};

use crate::variant::{
    About, CPUS, Family, Pending, Scope, TOGGLED, Variant, full_table, toggled, vector_of,
};

/// One byte a slot; 0 is no vector.
#[derive(Debug)]
#[repr(align(128))]
pub struct Bytes([AtomicU8; SLOTS]);

impl Bytes {
    pub(crate) fn full() -> Self {
        Self(full_table().map(AtomicU8::new))
    }

    #[inline(always)]
    pub(crate) fn get(&self, slot: Slot) -> u8 {
        self.0[slot.index()].load(Relaxed)
    }

    pub(crate) fn toggle(&self, turn: u64) {
        self.0[TOGGLED].store(toggled(turn), Relaxed);
    }
}

/// A call that does nothing: what the measuring costs.
#[derive(Debug)]
pub struct Nothing;

impl Variant for Nothing {
    const ABOUT: About =
        About { id: "empty", name: "empty call", family: Family::Yardstick, scope: Scope::PerCpu };
    type Table = Bytes;
    type View = Bytes;
    type Local<'a> = &'a Bytes;
    type Key = Slot;

    fn table() -> Bytes {
        Bytes::full()
    }

    fn local(table: &Bytes) -> &Bytes {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(_view: &Bytes, _pending: &Pending, _slot: Slot) {}

    fn write(table: &Bytes, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        table.toggle(turn);
        true
    }
}

/// One locked OR of a known vector's bit, without any table.
#[derive(Debug)]
pub struct LockedOr;

impl Variant for LockedOr {
    const ABOUT: About = About {
        id: "lock-or",
        name: "one lock or, no table",
        family: Family::Yardstick,
        scope: Scope::PerCpu,
    };
    type Table = Bytes;
    type View = Bytes;
    type Local<'a> = &'a Bytes;
    type Key = u8;

    fn table() -> Bytes {
        Bytes::full()
    }

    fn local(table: &Bytes) -> &Bytes {
        table
    }

    fn key(slot: Slot) -> u8 {
        vector_of(slot.index())
    }

    #[inline(always)]
    fn post(_view: &Bytes, pending: &Pending, vector: u8) {
        pending.set(vector);
    }

    fn write(table: &Bytes, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        table.toggle(turn);
        true
    }
}

/// A table of atomic bytes: the least that one would write.
#[derive(Debug)]
pub struct AtomicTable;

impl Variant for AtomicTable {
    const ABOUT: About = About {
        id: "atomic-table",
        name: "atomic u8 table",
        family: Family::Atomic,
        scope: Scope::Shared,
    };
    type Table = Bytes;
    type View = Bytes;
    type Local<'a> = &'a Bytes;
    type Key = Slot;

    fn table() -> Bytes {
        Bytes::full()
    }

    fn local(table: &Bytes) -> &Bytes {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &Bytes, pending: &Pending, slot: Slot) {
        let vector = view.get(slot);
        if vector != 0 {
            pending.set(vector);
        }
    }

    fn write(table: &Bytes, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        table.toggle(turn);
        true
    }
}

/// A count that is odd while the data beside it changes.
#[derive(Debug, Default)]
pub(crate) struct Sequence(AtomicUsize);

impl Sequence {
    /// Reads until nothing changed meanwhile.
    #[inline(always)]
    pub(crate) fn read<T>(&self, data: impl Fn() -> T) -> T {
        loop {
            let before = self.0.load(Acquire);
            if before & 1 == 0 {
                let value = data();
                fence(Acquire);
                if self.0.load(Relaxed) == before {
                    return value;
                }
            }
            spin_loop();
        }
    }

    /// Changes the data; for one writer at a time.
    pub(crate) fn write(&self, change: impl FnOnce()) {
        let before = self.0.load(Relaxed);
        self.0.store(before.wrapping_add(1), Relaxed);
        fence(Release);
        change();
        self.0.store(before.wrapping_add(2), Release);
    }
}

/// A table under a sequence count.
#[derive(Debug)]
pub struct Counted {
    sequence: Sequence,
    bytes: Bytes,
}

/// A seqlock.
#[derive(Debug)]
pub struct Seqlock;

impl Variant for Seqlock {
    const ABOUT: About =
        About { id: "seqlock", name: "seqlock", family: Family::Atomic, scope: Scope::Shared };
    type Table = Counted;
    type View = Counted;
    type Local<'a> = &'a Counted;
    type Key = Slot;

    fn table() -> Counted {
        Counted { sequence: Sequence::default(), bytes: Bytes::full() }
    }

    fn local(table: &Counted) -> &Counted {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &Counted, pending: &Pending, slot: Slot) {
        let vector = view.sequence.read(|| view.bytes.get(slot));
        if vector != 0 {
            pending.set(vector);
        }
    }

    fn write(table: &Counted, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        table.sequence.write(|| table.bytes.toggle(turn));
        true
    }
}
