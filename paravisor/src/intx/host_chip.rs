// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host's IO-APIC is told, and how it is known to have heard.
//!
//! Spec: IOAPIC "Register Description"; SDM "I/O APIC".

use super::{Polarity, Trigger};

/// Where the host's chip is, in shared addresses.
pub const BASE: u64 = 0xfec0_0000;
/// Selects a register.
pub const SELECT: u64 = 0x00;
/// The selected register.
pub const WINDOW: u64 = 0x10;
/// Ends an interrupt by level.
pub const EOI: u64 = 0x40;

const VERSION: u8 = 1;
const FIRST_ENTRY: u8 = 0x10;
/// The first chip that has the EOI register.
const HAS_EOI: u32 = 0x20;
/// The window shows an entry's halves from 0x10 on, so no chip has more.
const MOST_PINS: u32 = 120;

const LOW_ACTIVE: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;
/// What of the lower half is not a state of the chip's own.
const WRITTEN: u32 = 0x0001_afff;
const DESTINATION: u32 = 0xff00_0000;

/// The host's chip. It may answer anything.
pub trait HostChip {
    /// Reads a register.
    fn read(&mut self, register: u8) -> u32;

    /// Writes a register.
    fn write(&mut self, register: u8, value: u32);

    /// Ends what `vector` has interrupted by level.
    fn end_of_interrupt(&mut self, vector: u8);
}

/// An entry of the chip, as L1 wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The host's interrupt, which is the chip's pin.
    pub gsi: u8,
    /// The vector of L1.
    pub vector: u8,
    /// The CPU that is interrupted.
    pub cpu: u8,
    /// What is an interrupt.
    pub trigger: Trigger,
    /// Which voltage asks.
    pub polarity: Polarity,
    /// Whether it may interrupt.
    pub gate: Gate,
}

/// Whether a pin may interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// It may not.
    Masked,
}

/// Whether the chip can end an interrupt of its own, and how many pins it has.
pub fn survey(chip: &mut impl HostChip) -> Option<u32> {
    let version = chip.read(VERSION);
    let pins = (version >> 16 & 0xff) + 1;
    (version & 0xff >= HAS_EOI && version & 0xff != 0xff && pins <= MOST_PINS).then_some(pins)
}

impl Entry {
    /// Writes vector, trigger, polarity and mask.
    pub fn write(&self, chip: &mut impl HostChip) {
        chip.write(self.register(), self.lower());
    }

    /// Writes which CPU is interrupted, which is half of the entry and so never seen by half.
    pub fn write_destination(&self, chip: &mut impl HostChip) {
        chip.write(self.register() + 1, u32::from(self.cpu) << 24);
    }

    /// Whether the chip has what was written, as one does that lets the TD have the pin.
    pub fn is_there(&self, chip: &mut impl HostChip) -> bool {
        let lower = chip.read(self.register()) & WRITTEN;
        let upper = chip.read(self.register() + 1) & DESTINATION;
        (lower, upper) == (self.lower(), u32::from(self.cpu) << 24)
    }

    const fn register(&self) -> u8 {
        FIRST_ENTRY.wrapping_add(self.gsi.wrapping_mul(2))
    }

    fn lower(&self) -> u32 {
        let polarity = if self.polarity == Polarity::Low { LOW_ACTIVE } else { 0 };
        let trigger = if self.trigger == Trigger::Level { LEVEL } else { 0 };
        let mask = if self.gate == Gate::Masked { MASKED } else { 0 };
        u32::from(self.vector) | polarity | trigger | mask
    }
}
