// SPDX-License-Identifier: MIT OR Apache-2.0
//! The full fence of the protocols: `core`'s, or loom's when the crate is model-checked.
//!
//! The words themselves come through [`SharedMemory`](crate::SharedMemory), whose implementation in
//! a model check uses loom's atomics.

pub(crate) use core::sync::atomic::Ordering;

#[cfg(not(loom))]
use core::sync::atomic::fence;

#[cfg(loom)]
use loom::sync::atomic::fence;

/// Orders every store before it with every load after it.
#[inline]
pub(crate) fn full_fence() {
    fence(Ordering::SeqCst);
}
