// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices whose interrupts are counted, and what their handlers have to do.

/// QEMU's educational device: interrupts on demand and after a DMA transfer.
pub(crate) mod edu;

/// The serial port, as a source of interrupts.
pub(crate) mod serial;

/// Devices that interrupt by a line.
pub(crate) mod line;

/// The IO-APIC.
pub(crate) mod io_apic;

/// QEMU's ivshmem device: interrupts when its outside end rings.
pub(crate) mod doorbell;

use crate::vectors;

/// Tells the device behind `vector` that its interrupt was taken.
pub(crate) fn acknowledge(vector: u8) {
    if vector == vectors::EDU {
        edu::acknowledge();
    } else if vector == vectors::SERIAL {
        serial::acknowledge();
    } else if vector == vectors::LINE {
        line::acknowledge();
    } else if let Some(entry) = vectors::doorbell_entry(vector) {
        doorbell::acknowledge(entry);
    }
}
