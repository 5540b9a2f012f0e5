// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's IO-APIC, which L1 reaches by calls to the host.
//!
//! Two registers are behind one window, so whoever uses it holds the lock of L2's chip.

use paravisor::intx::host_chip::{BASE, EOI, HostChip, SELECT, WINDOW};
use tdcall::{
    Instruction,
    tdvmcall::{self, MmioSize},
};

use crate::interrupt::counters::HOST_REFUSALS;

/// The chip.
#[derive(Debug)]
pub(super) struct HostIoApic {
    /// The bit that makes an address shared.
    pub(super) shared_bit: u64,
}

impl HostIoApic {
    fn store(&self, offset: u64, value: u32) {
        let gpa = (BASE + offset) | self.shared_bit;
        if tdvmcall::mmio_write(&Instruction, gpa, MmioSize::Dword, value.into()).is_err() {
            HOST_REFUSALS.add();
        }
    }
}

impl HostChip for HostIoApic {
    fn read(&mut self, register: u8) -> u32 {
        self.store(SELECT, register.into());
        let gpa = (BASE + WINDOW) | self.shared_bit;
        match tdvmcall::mmio_read(&Instruction, gpa, MmioSize::Dword) {
            Ok(value) => paravisor::width::low32(value),
            Err(_) => {
                HOST_REFUSALS.add();
                u32::MAX
            }
        }
    }

    fn write(&mut self, register: u8, value: u32) {
        self.store(SELECT, register.into());
        self.store(WINDOW, value);
    }

    fn end_of_interrupt(&mut self, vector: u8) {
        self.store(EOI, vector.into());
    }
}
