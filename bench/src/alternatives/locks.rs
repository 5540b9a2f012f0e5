// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lock around the table: what one takes first.
//!
//! In an interrupt handler a lock is worse than these figures: whoever holds it may be the context
//! that was interrupted, and then there is no end to it.

use std::sync::PoisonError;

use crossbeam_utils::CachePadded;
use proxy_irq::{SLOTS, Slot};

use crate::variant::{About, CPUS, Family, Pending, Scope, TOGGLED, Variant, full_table, toggled};

/// Defines a variant by its lock and how that is taken.
macro_rules! lock_around_the_table {
    ($(#[$doc:meta])* $name:ident, $id:literal, $person:literal, $lock:ty, $read:expr, $write:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl Variant for $name {
            const ABOUT: About =
                About { id: $id, name: $person, family: Family::Lock, scope: Scope::Shared };
            type Table = CachePadded<$lock>;
            type View = $lock;
            type Local<'a> = &'a $lock;
            type Key = Slot;

            fn table() -> Self::Table {
                CachePadded::new(<$lock>::new(full_table()))
            }

            fn local(table: &Self::Table) -> &$lock {
                table
            }

            fn key(slot: Slot) -> Slot {
                slot
            }

            #[inline(always)]
            fn post(view: &$lock, pending: &Pending, slot: Slot) {
                let vector = $read(view)[slot.index()];
                if vector != 0 {
                    pending.set(vector);
                }
            }

            fn write(table: &Self::Table, _cpus: &[Pending; CPUS], turn: u64) -> bool {
                $write(table)[TOGGLED] = toggled(turn);
                true
            }
        }
    };
}

lock_around_the_table!(
    /// `spin`'s mutex.
    SpinMutex, "spin-mutex", "spin::Mutex", spin::Mutex<[u8; SLOTS]>,
    spin::Mutex::lock, spin::Mutex::lock
);

lock_around_the_table!(
    /// `spin`'s read-write lock.
    SpinRwLock, "spin-rwlock", "spin::RwLock", spin::RwLock<[u8; SLOTS]>,
    spin::RwLock::read, spin::RwLock::write
);

lock_around_the_table!(
    /// The standard library's mutex.
    StdMutex, "std-mutex", "std Mutex", std::sync::Mutex<[u8; SLOTS]>,
    std_mutex, std_mutex
);

lock_around_the_table!(
    /// The standard library's read-write lock.
    StdRwLock, "std-rwlock", "std RwLock", std::sync::RwLock<[u8; SLOTS]>,
    std_read, std_write
);

lock_around_the_table!(
    /// `parking_lot`'s mutex.
    ParkingMutex, "parking-lot-mutex", "parking_lot Mutex", parking_lot::Mutex<[u8; SLOTS]>,
    parking_lot::Mutex::lock, parking_lot::Mutex::lock
);

lock_around_the_table!(
    /// `parking_lot`'s read-write lock.
    ParkingRwLock, "parking-lot-rwlock", "parking_lot RwLock", parking_lot::RwLock<[u8; SLOTS]>,
    parking_lot::RwLock::read, parking_lot::RwLock::write
);

type Entries = [u8; SLOTS];

#[inline(always)]
fn std_mutex(lock: &std::sync::Mutex<Entries>) -> std::sync::MutexGuard<'_, Entries> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[inline(always)]
fn std_read(lock: &std::sync::RwLock<Entries>) -> std::sync::RwLockReadGuard<'_, Entries> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

#[inline(always)]
fn std_write(lock: &std::sync::RwLock<Entries>) -> std::sync::RwLockWriteGuard<'_, Entries> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
