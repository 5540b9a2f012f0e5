// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD's memory that is used for checks: fixed pages of RAM, far above what the host put there.
//!
//! No Rust reference to any of it exists; it is read and written word by word.
#![expect(unsafe_code, reason = "the pages are no Rust objects")]

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// 2 MiB to be accepted at once.
pub(crate) const LARGE: u64 = 0x0100_0000;
/// 2 MiB of which single pages are accepted; the pages below lie here.
pub(crate) const SMALL: u64 = 0x0120_0000;
/// 2 MiB that the host gives at once and that are accepted in part.
pub(crate) const SPLIT: u64 = 0x0140_0000;
/// 2 MiB that an L2 VM touches before anybody else.
pub(crate) const UNTOUCHED: u64 = 0x0160_0000;
/// A page of the probe itself, accepted from the start: the hand-off block.
pub(crate) const HAND_OFF: u64 = 0x0080_0000;
/// Bit 47: shared memory.
pub(crate) const SHARED: u64 = 0x8000_0000_0000;

const fn page(number: u64) -> u64 {
    SMALL + number * 0x1000
}

/// Code of the L2 VM.
pub(crate) const CODE: u64 = page(0);
/// Page tables of the L2 VM, three of them.
pub(crate) const TABLES: u64 = page(1);
/// Descriptor tables and stack of the L2 VM.
pub(crate) const DATA: u64 = page(4);
/// Readable by the L2 VM.
pub(crate) const READ_ONLY: u64 = page(5);
/// Not the L2 VM's.
pub(crate) const PRIVATE: u64 = page(6);
/// The state page of the L2 VM.
pub(crate) const STATE: u64 = page(7);
/// The virtual-APIC page of the L2 VM.
pub(crate) const APIC: u64 = page(8);
/// Operands of the leaves that read or write memory.
pub(crate) const OPERANDS: u64 = page(9);
/// Where attributes are tried.
pub(crate) const ATTRIBUTES: u64 = page(10);
/// How many pages are accepted.
pub(crate) const PAGES: u64 = 11;
/// Never accepted by L1: pending once the host has given it.
pub(crate) const PENDING: u64 = page(32);

/// Reads a word.
pub(crate) fn read(gpa: u64) -> u64 {
    // SAFETY: The pages of this module are accepted before any check reads them, and are only ever
    // accessed here and by the module.
    unsafe { with_exposed_provenance::<u64>(address(gpa)).read_volatile() }
}

/// Writes a word.
pub(crate) fn write(gpa: u64, value: u64) {
    // SAFETY: As above.
    unsafe { with_exposed_provenance_mut::<u64>(address(gpa)).write_volatile(value) };
}

/// Writes bytes.
pub(crate) fn write_bytes(gpa: u64, bytes: &[u8]) {
    for (byte, at) in bytes.iter().zip(gpa..) {
        // SAFETY: As above.
        unsafe { with_exposed_provenance_mut::<u8>(address(at)).write_volatile(*byte) };
    }
}

/// Reads bytes.
pub(crate) fn read_bytes<const LENGTH: usize>(gpa: u64) -> [u8; LENGTH] {
    core::array::from_fn(|index| {
        let at = address(gpa) + index;
        // SAFETY: As above.
        unsafe { with_exposed_provenance::<u8>(at).read_volatile() }
    })
}

#[expect(clippy::cast_possible_truncation, reason = "the probe is a 64-bit program")]
const fn address(gpa: u64) -> usize {
    gpa as usize
}
