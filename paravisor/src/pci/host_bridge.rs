// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host bridge, which is L1's own: a name and a class, which is what a kernel looks for before it
//! believes in configuration mechanism 1.
//!
//! Spec: PCI "Type 00h Configuration Space Header".

use super::address::Bdf;

/// Where it is.
pub const BDF: Bdf = Bdf(0);

/// QEMU's numbers for a bridge without properties.
const IDS: u32 = 0x0008_1b36;
const CLASS: u32 = 0x0600_0000;

/// L2 reads the dword at `register`. Writes are dropped.
#[must_use]
pub const fn read(register: u8) -> u32 {
    match register {
        0x00 => IDS,
        0x08 => CLASS,
        _ => 0,
    }
}
