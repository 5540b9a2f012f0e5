// SPDX-License-Identifier: MIT OR Apache-2.0
//! Educational devices that interrupt by a line, because nobody has switched their messages on. Several
//! may share one: the handler asks each.
//!
//! # Orderings
//! A handler counts a device with Release after it has taken back what the device had raised; the boot
//! CPU reads the count with Acquire before it raises the next.
//!
//! Spec: EDU "MMIO area spec".

use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;

use super::edu::{ID, INTERRUPT_ACKNOWLEDGE, INTERRUPT_RAISE, INTERRUPT_STATUS, LENGTH};
use super::io_apic::{IoApic, REMOTE_IRR};
use crate::failure::Failure;
use crate::pci;
use crate::registers::Registers;
use crate::vectors::LINE;

/// Most devices.
const MOST: usize = 4;

/// The IO-APIC's pin of the first line that a device has.
pub(crate) const PIN: u8 = 16;

/// The chip whose register the handler ends its interrupts by, before it ends them by that of its CPU.
static DIRECTED: Once<IoApic> = Once::new();

/// Interrupts that were ended by that register, and those of whose end the chip did not hear.
static ENDED: AtomicU64 = AtomicU64::new(0);
static UNHEARD: AtomicU64 = AtomicU64::new(0);

static DEVICES: [Device; MOST] = [const { Device::new() }; MOST];

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    registers: Once<Registers>,
    taken: AtomicU64,
}

/// Takes back what any of them has raised.
pub(crate) fn acknowledge() {
    DEVICES.iter().for_each(Device::acknowledge);
    if let Some(chip) = DIRECTED.get() {
        chip.end(LINE);
        if chip.entry(PIN) & REMOTE_IRR != 0 {
            UNHEARD.fetch_add(1, Ordering::Release);
        }
        ENDED.fetch_add(1, Ordering::Release);
    }
}

/// Has the handler end its interrupts by the chip's register from now on. Nobody else uses the chip.
pub(crate) fn end_by(chip: IoApic) {
    DIRECTED.call_once(|| chip);
}

/// Interrupts that were ended by that register.
pub(crate) fn ended() -> u64 {
    ENDED.load(Ordering::Acquire)
}

/// Those of whose end the chip did not hear.
pub(crate) fn unheard() -> u64 {
    UNHEARD.load(Ordering::Acquire)
}

/// Finds the devices and lets them interrupt by their pins.
pub(crate) fn find(shared: u64) -> Result<&'static [Device], Failure> {
    let mut count = 0;
    for (function, device) in pci::find_all(ID).zip(&DEVICES) {
        let registers = function.map(0, LENGTH, shared)?;
        if function.enable_line() == 0 {
            return Err(Failure::BadDevice("no pin"));
        }
        device.registers.call_once(|| registers);
        count += 1;
    }
    if count == 0 { Err(Failure::NoDevice("1234:11e8")) } else { Ok(&DEVICES[..count]) }
}

impl Device {
    const fn new() -> Self {
        Self { registers: Once::new(), taken: AtomicU64::new(0) }
    }

    /// Raises an interrupt.
    pub(crate) fn raise(&self) {
        if let Some(registers) = self.registers.get() {
            registers.write(INTERRUPT_RAISE, 1);
        }
    }

    /// Takes back what the device has raised, if it has.
    pub(crate) fn acknowledge(&self) {
        let Some(registers) = self.registers.get() else { return };
        let raised = registers.read(INTERRUPT_STATUS);
        if raised != 0 {
            registers.write(INTERRUPT_ACKNOWLEDGE, raised);
            self.taken.fetch_add(1, Ordering::Release);
        }
    }

    /// Takes back what the device has raised, whether or not a handler does so meanwhile; it is not counted.
    pub(crate) fn take_back(&self) {
        if let Some(registers) = self.registers.get() {
            registers.write(INTERRUPT_ACKNOWLEDGE, u32::MAX);
        }
    }

    /// How often something was taken back.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }
}
