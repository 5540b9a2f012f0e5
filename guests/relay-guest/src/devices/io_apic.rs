// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IO-APIC, at the address where every PC has it.
//!
//! Spec: IOAPIC "Register Description".

use crate::failure::Failure;
use crate::registers::Registers;

const ADDRESS: u64 = 0xfec0_0000;
const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
const EOI: usize = 0x40;
const VERSION: u32 = 1;
const FIRST_ENTRY: u32 = 0x10;

/// In an entry: the pin sends nothing.
pub(crate) const MASKED: u32 = 1 << 16;
/// In an entry: interrupts by level.
pub(crate) const LEVEL: u32 = 1 << 15;
/// In an entry: an interrupt by level was sent and not ended.
pub(crate) const REMOTE_IRR: u32 = 1 << 14;

/// The chip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoApic(Registers);

impl IoApic {
    /// Maps its page, which is private memory: no device of the host is behind it.
    pub(crate) fn map() -> Result<Self, Failure> {
        Registers::map(ADDRESS, 0x1000, 0).map(Self)
    }

    /// Its version, and the number of its last pin in bits 23:16.
    pub(crate) fn version(self) -> u32 {
        self.read(VERSION)
    }

    /// Makes `pin` interrupt CPU `cpu` by `entry`, which is a vector and modes.
    pub(crate) fn route(self, pin: u8, entry: u32, cpu: u8) {
        let register = FIRST_ENTRY + 2 * u32::from(pin);
        self.write(register, MASKED);
        self.write(register + 1, u32::from(cpu) << 24);
        self.write(register, entry);
    }

    /// The same for a pin that keeps its trigger meanwhile: what it has sent by level is not forgotten.
    pub(crate) fn turn(self, pin: u8, entry: u32, cpu: u8) {
        let register = FIRST_ENTRY + 2 * u32::from(pin);
        self.write(register, entry | MASKED);
        self.write(register + 1, u32::from(cpu) << 24);
        self.write(register, entry);
    }

    /// Ends what `vector` has interrupted by level.
    pub(crate) fn end(self, vector: u8) {
        self.0.write(EOI, vector.into());
    }

    /// The lower half of the entry of `pin`.
    pub(crate) fn entry(self, pin: u8) -> u32 {
        self.read(FIRST_ENTRY + 2 * u32::from(pin))
    }

    /// Reads a register by its index.
    pub(crate) fn read(self, register: u32) -> u32 {
        self.0.write(SELECT, register);
        self.0.read(WINDOW)
    }

    /// Writes a register by its index.
    pub(crate) fn write(self, register: u32, value: u32) {
        self.0.write(SELECT, register);
        self.0.write(WINDOW, value);
    }
}
