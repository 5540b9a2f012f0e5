// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of the machine, by host-physical address.
//!
//! The emulator maps all memory one to one and shares most of it with guests and devices that
//! write it at any time. Hence no references to plain data here: memory is read and written as
//! relaxed atomics, so that a racing guest can change a value, but never the meaning of our code.
//!
//! # Safety argument
//!
//! *Identity*: `machine::boot` maps the low 512 GiB one to one for the whole run and never unmaps.
//! *Alignment* is asserted; a host-physical address comes from our page allocator or from a nested
//! page table that we wrote, never from a guest.

#![expect(unsafe_code, reason = "physical memory has no safe name in Rust")]

use super::narrow::index;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// A host-physical address.
pub(crate) type Hpa = u64;

/// Bytes of a page.
pub(crate) const PAGE: u64 = 4096;

/// End of the identity map.
const LIMIT: Hpa = 1 << 39;

macro_rules! view {
    ($(#[$doc:meta])* $name:ident, $atomic:ty) => {
        $(#[$doc])*
        pub(crate) fn $name(at: Hpa) -> &'static $atomic {
            let size = size_of::<$atomic>() as u64;
            assert!(at != 0 && at < LIMIT && at % size == 0, "bad host-physical address {at:#x}");
            // SAFETY: *Identity* and *Alignment*, see the module documentation; atomics may alias.
            unsafe { &*core::ptr::with_exposed_provenance::<$atomic>(index(at)) }
        }
    };
}

view!(/// The byte at `at`.
    byte, AtomicU8);
view!(/// The 16-bit word at `at`.
    half, AtomicU16);
view!(/// The 32-bit word at `at`.
    word, AtomicU32);
view!(/// The 64-bit word at `at`.
    quad, AtomicU64);
view!(/// The page at `at`. Its address is checked once, not for each of its words.
    page, [AtomicU64; 512]);

const _: () = assert!(size_of::<[AtomicU64; 512]>() as u64 == PAGE);

/// Reads a 64-bit word.
pub(crate) fn read(at: Hpa) -> u64 {
    quad(at).load(Ordering::Relaxed)
}

/// Writes a 64-bit word.
pub(crate) fn write(at: Hpa, value: u64) {
    quad(at).store(value, Ordering::Relaxed);
}

/// Zeroes the page at `at`.
pub(crate) fn zero_page(at: Hpa) {
    fill_page(at, 0);
}

/// Fills the page at `at` with one 64-bit word.
pub(crate) fn fill_page(at: Hpa, value: u64) {
    for word in page(at) {
        word.store(value, Ordering::Relaxed);
    }
}

/// Copies the page at `from` to `to`.
pub(crate) fn copy_page(to: Hpa, from: Hpa) {
    for (to, from) in page(to).iter().zip(page(from)) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Copies memory out; `into` may start and end anywhere.
pub(crate) fn read_bytes(from: Hpa, into: &mut [u8]) {
    for (at, slot) in (from..).zip(into) {
        *slot = byte(at).load(Ordering::Relaxed);
    }
}

/// Copies `bytes` to memory.
pub(crate) fn write_bytes(to: Hpa, bytes: &[u8]) {
    for (at, value) in (to..).zip(bytes) {
        byte(at).store(*value, Ordering::Relaxed);
    }
}
