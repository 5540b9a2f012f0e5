// SPDX-License-Identifier: MIT OR Apache-2.0
//! The atomics of the protocols: `core`'s, or loom's when the crate is model-checked.
//!
//! Only words that take part in a protocol between two contexts come from here. Counters and the
//! virtual-APIC page have one writer and publish nothing, so they use `core` directly and cost the
//! model checker no states.

pub(crate) use core::sync::atomic::Ordering;

use crate::{reserved_vector::SLOTS, slot::SlotWord};

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64};

/// Stands between a SeqCst access and the one after it. The language orders the two; loom takes both
/// for AcqRel ones and needs to be told.
#[inline]
pub(crate) fn fence_under_loom() {
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// Defines a constructor that is `const` except under loom, whose atomics have none.
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident() -> $result:ty $body:block) => {
        #[cfg(not(loom))]
        $(#[$meta])*
        #[must_use]
        $visibility const fn $name() -> $result $body

        #[cfg(loom)]
        $(#[$meta])*
        #[must_use]
        $visibility fn $name() -> $result $body
    };
}
pub(crate) use const_unless_loom;

/// Returns `N` zero words.
#[cfg(not(loom))]
pub(crate) const fn zeros<const N: usize>() -> [AtomicU32; N] {
    [const { AtomicU32::new(0) }; N]
}

/// Returns `N` zero words.
#[cfg(loom)]
pub(crate) fn zeros<const N: usize>() -> [AtomicU32; N] {
    core::array::from_fn(|_| AtomicU32::new(0))
}

/// Returns one word per slot, all unmapped.
#[cfg(not(loom))]
pub(crate) const fn unmapped_slots() -> [AtomicU64; SLOTS] {
    let mut words = [const { AtomicU64::new(0) }; SLOTS];
    let mut index = 0;
    while index < SLOTS {
        words[index] = AtomicU64::new(SlotWord::UNMAPPED[index].raw());
        index += 1;
    }
    words
}

/// Returns one word per slot, all unmapped.
#[cfg(loom)]
pub(crate) fn unmapped_slots() -> [AtomicU64; SLOTS] {
    core::array::from_fn(|index| AtomicU64::new(SlotWord::UNMAPPED[index].raw()))
}
