// SPDX-License-Identifier: MIT OR Apache-2.0
//! The atomics: `core`'s, or loom's when the crate is model-checked.

pub(crate) use core::sync::atomic::Ordering;

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, fence};

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
