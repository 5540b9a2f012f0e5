// SPDX-License-Identifier: MIT OR Apache-2.0
//! MSI capability as the TD sees it: one message, kept by the host.
//!
//! Enable and mask bits reach the device; address and data do not (see `entry`). The
//! device's own message changes only in its address once it is enabled, so it is never torn.
//!
//! Spec: PCI "MSI Capability Structure".

use super::{
    entry::{Entry, Message},
    platform::{Platform, Target},
};
use crate::observe::Source;

/// Capability id.
pub(crate) const ID: u8 = 0x05;

const CONTROL: u8 = 2;
const ENABLE: u8 = 1 << 0;
const IS_64_BIT: u32 = 1 << 7;
const HAS_MASK: u32 = 1 << 8;

/// MSI of one device.
#[derive(Debug)]
pub(crate) struct Msi {
    devfn: u8,
    /// Where the capability starts in configuration space.
    start: u8,
    is_64_bit: bool,
    has_mask: bool,
    enabled: bool,
    /// Address and data registers, as bytes from offset 4 of the capability.
    registers: [u8; 12],
    entry: Entry,
}

impl Msi {
    /// Takes the capability at `start` over.
    pub(crate) fn new(devfn: u8, start: u8, source: Source, platform: &mut impl Platform) -> Self {
        let control = platform.config_read(devfn, start + CONTROL, 2);
        platform.config_write(devfn, start + CONTROL, 2, 0);
        Self {
            devfn,
            start,
            is_64_bit: control & IS_64_BIT != 0,
            has_mask: control & HAS_MASK != 0,
            enabled: false,
            registers: [0; 12],
            entry: Entry::new(source),
        }
    }

    /// Whether the capability covers an offset of configuration space, mask bits left out: those are
    /// the device's own.
    pub(crate) fn covers(&self, offset: u8) -> bool {
        (self.start + CONTROL..self.start + 4 + self.data_offset() + 4).contains(&offset)
    }

    /// Whether an offset is one of the mask bits, which the TD may write directly.
    pub(crate) fn is_mask(&self, offset: u8) -> bool {
        let mask = self.start + 8 + self.data_offset();
        self.has_mask && (mask..mask + 4).contains(&offset)
    }

    /// Reads a byte of the capability.
    pub(crate) fn read(&self, offset: u8) -> u8 {
        match offset - self.start {
            // One message: nothing of the multiple message fields.
            CONTROL => u8::from(self.enabled) | if self.is_64_bit { 1 << 7 } else { 0 },
            3 => u8::from(self.has_mask),
            register => self.registers.get(usize::from(register) - 4).copied().unwrap_or(0),
        }
    }

    /// Writes a byte of the capability; [`Msi::apply`] follows after the last one.
    pub(crate) fn write(&mut self, offset: u8, value: u8) {
        match offset - self.start {
            CONTROL => self.enabled = value & ENABLE != 0,
            3 => {}
            register => {
                if let Some(byte) = self.registers.get_mut(usize::from(register) - 4) {
                    *byte = value;
                }
            }
        }
    }

    /// Programs the device after the TD changed something.
    pub(crate) fn apply(&mut self, platform: &mut impl Platform) {
        self.entry.message = self.message();
        let physical = if self.enabled { self.entry.route(platform) } else { None };
        if let Some(message) = physical {
            platform.config_write(self.devfn, self.start + 4, 4, message.address);
            if self.is_64_bit {
                platform.config_write(self.devfn, self.start + 8, 4, 0);
            }
            let data = self.start + 4 + self.data_offset();
            platform.config_write(self.devfn, data, 2, message.data);
        }
        let control = u32::from(physical.is_some());
        platform.config_write(self.devfn, self.start + CONTROL, 2, control);
    }

    /// Sends a message elsewhere than it says; `false` if it is not the device's.
    pub(crate) fn redirect(
        &mut self,
        message: Message,
        target: Target,
        platform: &mut impl Platform,
    ) -> bool {
        self.entry.redirect(message, target, platform)
    }

    /// Offset of the data register from the address register.
    fn data_offset(&self) -> u8 {
        if self.is_64_bit { 8 } else { 4 }
    }

    fn message(&self) -> Message {
        let dword = |at: usize| {
            self.registers[at..at + 4]
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u32::from(*byte))
        };
        let high = if self.is_64_bit { u64::from(dword(4)) << 32 } else { 0 };
        let data = dword(usize::from(self.data_offset()));
        Message { address: high | u64::from(dword(0)), data: data & 0xffff }
    }
}
