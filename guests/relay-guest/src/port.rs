// SPDX-License-Identifier: MIT OR Apache-2.0
//! The I/O ports of the guest: console, end of run, interrupt controller, PCI configuration.
#![expect(unsafe_code, reason = "port I/O")]

use x86_64::instructions::port::Port;

/// Writes a byte.
pub(crate) fn write8(port: u16, value: u8) {
    // SAFETY: None of the devices above changes memory because of a port write.
    unsafe { Port::new(port).write(value) }
}

/// Reads a byte.
pub(crate) fn read8(port: u16) -> u8 {
    // SAFETY: Only registers of the serial port are read by bytes, which changes no memory.
    unsafe { Port::new(port).read() }
}

/// Writes a double word.
pub(crate) fn write32(port: u16, value: u32) {
    // SAFETY: As for `write8`; PCI functions master the bus only as `devices` tells them to.
    unsafe { Port::new(port).write(value) }
}

/// Reads a double word.
pub(crate) fn read32(port: u16) -> u32 {
    // SAFETY: Reading PCI configuration changes nothing.
    unsafe { Port::new(port).read() }
}

/// Masks both legacy interrupt controllers, whose vectors would look like exceptions.
pub(crate) fn mask_legacy_interrupts() {
    write8(0x21, 0xff);
    write8(0xa1, 0xff);
}
