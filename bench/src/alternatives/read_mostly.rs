// SPDX-License-Identifier: MIT OR Apache-2.0
//! Crates that promise cheap reads: arc-swap, crossbeam-epoch, left-right, dashmap.
//!
//! # Orderings
//! The crates' own; the one pointer that is handled here is published with Release by the exchange
//! and read with Acquire.
#![expect(
    unsafe_code,
    reason = "crossbeam-epoch hands out pointers, and takes them back, by contract"
)]

use core::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use crossbeam_epoch::{Atomic, Owned, pin};
use crossbeam_utils::CachePadded;
use dashmap::DashMap;
use left_right::{Absorb, ReadHandle, ReadHandleFactory, WriteHandle};
use proxy_irq::{SLOTS, Slot};

use crate::variant::{About, CPUS, Family, Pending, Scope, TOGGLED, Variant, full_table, toggled};

type Entries = [u8; SLOTS];

fn changed(mut entries: Entries, turn: u64) -> Entries {
    entries[TOGGLED] = toggled(turn);
    entries
}

/// A reference-counted table behind `arc-swap`.
#[derive(Debug)]
pub struct Swapped;

impl Variant for Swapped {
    const ABOUT: About = About {
        id: "arc-swap",
        name: "arc-swap",
        family: Family::Reclamation,
        scope: Scope::Shared,
    };
    type Table = CachePadded<ArcSwap<Entries>>;
    type View = ArcSwap<Entries>;
    type Local<'a> = &'a ArcSwap<Entries>;
    type Key = Slot;

    fn table() -> Self::Table {
        CachePadded::new(ArcSwap::from_pointee(full_table()))
    }

    fn local(table: &Self::Table) -> &ArcSwap<Entries> {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &ArcSwap<Entries>, pending: &Pending, slot: Slot) {
        let vector = view.load()[slot.index()];
        if vector != 0 {
            pending.set(vector);
        }
    }

    fn write(table: &Self::Table, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        table.store(Arc::new(changed(full_table(), turn)));
        true
    }
}

/// A table that epochs protect; the last one is leaked, the others are freed.
#[derive(Debug)]
pub struct Epoch;

impl Variant for Epoch {
    const ABOUT: About = About {
        id: "crossbeam-epoch",
        name: "crossbeam-epoch",
        family: Family::Reclamation,
        scope: Scope::Shared,
    };
    type Table = CachePadded<Atomic<Entries>>;
    type View = Atomic<Entries>;
    type Local<'a> = &'a Atomic<Entries>;
    type Key = Slot;

    fn table() -> Self::Table {
        CachePadded::new(Atomic::new(full_table()))
    }

    fn local(table: &Self::Table) -> &Atomic<Entries> {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &Atomic<Entries>, pending: &Pending, slot: Slot) {
        let guard = pin();
        let shared = view.load(Acquire, &guard);
        // SAFETY: the pointer was loaded under this guard, and writers free what they replaced only
        // by `defer_destroy`, so it is live; entries are never changed in place.
        let entries = unsafe { shared.as_ref() };
        if let Some(vector) =
            entries.map(|entries| entries[slot.index()]).filter(|entry| *entry != 0)
        {
            pending.set(vector);
        }
    }

    fn write(table: &Self::Table, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        let guard = pin();
        let old = table.swap(Owned::new(changed(full_table(), turn)), AcqRel, &guard);
        // SAFETY: the exchange took the pointer out of the only place that had it, so nobody can load
        // it any more and nobody else can free it.
        unsafe { guard.defer_destroy(old) };
        true
    }
}

/// Entries that `left-right` keeps twice.
#[derive(Clone, Debug)]
pub struct Doubled(Entries);

impl Absorb<u64> for Doubled {
    fn absorb_first(&mut self, turn: &mut u64, _other: &Self) {
        self.0[TOGGLED] = toggled(*turn);
    }

    fn sync_with(&mut self, first: &Self) {
        self.0 = first.0;
    }
}

/// Both ends of `left-right`.
pub struct Ends {
    readers: ReadHandleFactory<Doubled>,
    writer: Mutex<WriteHandle<Doubled, u64>>,
}

impl core::fmt::Debug for Ends {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Ends").finish_non_exhaustive()
    }
}

/// The structure under evmap: two copies, of which readers hold one.
#[derive(Debug)]
pub struct LeftRight;

impl Variant for LeftRight {
    const ABOUT: About = About {
        id: "left-right",
        name: "left-right",
        family: Family::Reclamation,
        scope: Scope::Shared,
    };
    type Table = Ends;
    type View = ReadHandle<Doubled>;
    type Local<'a> = Box<ReadHandle<Doubled>>;
    type Key = Slot;

    fn table() -> Ends {
        let both = Doubled(full_table());
        let (mut writer, reader) = left_right::new_from_empty::<Doubled, u64>(both);
        writer.publish();
        Ends { readers: reader.factory(), writer: Mutex::new(writer) }
    }

    fn local(table: &Ends) -> Box<ReadHandle<Doubled>> {
        Box::new(table.readers.handle())
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &ReadHandle<Doubled>, pending: &Pending, slot: Slot) {
        if let Some(entries) = view.enter() {
            let vector = entries.0[slot.index()];
            if vector != 0 {
                pending.set(vector);
            }
        }
    }

    fn write(table: &Ends, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        let mut writer = table.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.append(turn);
        writer.publish();
        true
    }
}

/// A concurrent hash map from slot to vector.
#[derive(Debug)]
pub struct Hashed;

impl Variant for Hashed {
    const ABOUT: About =
        About { id: "dashmap", name: "dashmap", family: Family::Lock, scope: Scope::Shared };
    type Table = DashMap<u8, u8>;
    type View = DashMap<u8, u8>;
    type Local<'a> = &'a DashMap<u8, u8>;
    type Key = Slot;

    fn table() -> Self::Table {
        let entries = Slot::all().map(|slot| (slot.get(), full_table()[slot.index()]));
        entries.collect()
    }

    fn local(table: &Self::Table) -> &DashMap<u8, u8> {
        table
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(view: &DashMap<u8, u8>, pending: &Pending, slot: Slot) {
        if let Some(vector) = view.get(&slot.get()) {
            pending.set(*vector);
        }
    }

    fn write(table: &Self::Table, _cpus: &[Pending; CPUS], turn: u64) -> bool {
        let slot = u8::try_from(TOGGLED).unwrap_or(u8::MAX);
        match toggled(turn) {
            0 => table.remove(&slot).is_some(),
            vector => table.insert(slot, vector).is_none(),
        }
    }
}
