// SPDX-License-Identifier: MIT OR Apache-2.0
//! What device assignment needs from the machine; a fake stands in for it in tests.

use crate::{iommu::remapping::Way, observe::Source};

/// Where the TD wants an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Virtual CPU.
    pub(crate) cpu: usize,
    /// Vector on that CPU.
    pub(crate) vector: u8,
    /// The way there.
    pub(crate) way: Way,
}

/// Message with which the physical device interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PhysicalMessage {
    /// Address, below 4 GiB.
    pub(crate) address: u32,
    /// Data.
    pub(crate) data: u32,
}

/// Physical devices and the IOMMU.
pub(crate) trait Platform {
    /// Reads 1, 2 or 4 bytes of configuration space.
    fn config_read(&mut self, devfn: u8, offset: u8, size: u8) -> u32;

    /// Writes 1, 2 or 4 bytes of configuration space.
    fn config_write(&mut self, devfn: u8, offset: u8, size: u8, value: u32);

    /// Reads 1, 2, 4 or 8 bytes of device memory.
    fn memory_read(&mut self, hpa: u64, size: u8) -> u64;

    /// Writes 1, 2, 4 or 8 bytes of device memory.
    fn memory_write(&mut self, hpa: u64, size: u8, value: u64);

    /// Reads 1, 2 or 4 bytes from ports of a device.
    fn port_read(&mut self, port: u16, size: u8) -> u32;

    /// Writes 1, 2 or 4 bytes to ports of a device.
    fn port_write(&mut self, port: u16, size: u8, value: u32);

    /// Confines what a device reaches to shared memory of the TD; `false` if nothing can.
    fn confine(&mut self, devfn: u8) -> bool;

    /// Gives a source of interrupts its physical vector, for good; `None` when all are given.
    fn allocate_vector(&mut self, source: Source) -> Option<u8>;

    /// The way of messages for which the TD asked for none.
    fn usual_way(&self) -> Way;

    /// Routes a physical vector to the TD, replacing its former route at once. Returns the message
    /// that raises it, or `None` if the TD has no such virtual CPU or the vector is an exception's.
    fn route(&mut self, vector: u8, target: Target) -> Option<PhysicalMessage>;
}
