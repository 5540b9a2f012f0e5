// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's configuration device: how many CPUs `-smp` asked for, and whatever else somebody selects.
//!
//! Spec: QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device".
#![expect(unsafe_code, reason = "port I/O")]

use x86_64::instructions::port::{PortReadOnly, PortWriteOnly};

/// The port that an item is selected by.
pub(crate) const SELECTOR: u16 = 0x510;
/// The port that its bytes come from.
pub(crate) const DATA: u16 = 0x511;

/// `FW_CFG_NB_CPUS`.
const PROCESSORS: u16 = 0x05;

/// Returns the number of CPUs that were powered on.
pub(crate) fn processors() -> u16 {
    select(PROCESSORS);
    u16::from_le_bytes([next_byte(), next_byte()])
}

/// Selects an item.
pub(crate) fn select(item: u16) {
    // SAFETY: selecting an item only resets the device's read position.
    unsafe { PortWriteOnly::new(SELECTOR).write(item) };
}

/// Returns the next byte of the selected item.
pub(crate) fn next_byte() -> u8 {
    // SAFETY: reading the data port only advances the device's read position.
    unsafe { PortReadOnly::new(DATA).read() }
}
