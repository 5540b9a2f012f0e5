// SPDX-License-Identifier: MIT OR Apache-2.0
//! Base address registers of a device given to the TD.
//!
//! Device memory lies in the TD where it lies in the machine, and ports are the machine's, so the registers
//! do not move: the TD can read them and size them, and a write of another address is told and ignored.
//!
//! Spec: PCI "Base Addresses".

use super::platform::Platform;

/// Offset of the first register.
pub(crate) const FIRST: u8 = 0x10;

/// Offset past the last register.
pub(crate) const END: u8 = 0x28;

const COMMAND: u8 = 0x04;
const DECODE: u32 = 0b11;
const IO: u32 = 1 << 0;
const TYPE_64_BIT: u32 = 0b100;
const MEMORY_FLAGS: u32 = 0xf;
const IO_FLAGS: u32 = 0x3;

/// A range of device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// Number of its (first) register.
    pub(crate) bar: u8,
    /// Where it is.
    pub(crate) hpa: u64,
    /// How long it is, in bytes.
    pub(crate) size: u64,
}

/// One register.
#[derive(Clone, Copy, Debug, Default)]
struct Register {
    /// What it reads as.
    value: u32,
    /// What it reads as after all-ones were written.
    mask: u32,
    sizing: bool,
}

/// The registers of a device.
#[derive(Debug)]
pub(crate) struct Bars {
    registers: [Register; 6],
}

impl Bars {
    /// Reads and sizes the registers.
    pub(crate) fn new(devfn: u8, platform: &mut impl Platform) -> Self {
        let command = platform.config_read(devfn, COMMAND, 2);
        platform.config_write(devfn, COMMAND, 2, command & !DECODE);
        let mut offset = FIRST;
        let registers = [(); 6].map(|()| {
            let value = platform.config_read(devfn, offset, 4);
            platform.config_write(devfn, offset, 4, u32::MAX);
            let mask = platform.config_read(devfn, offset, 4);
            platform.config_write(devfn, offset, 4, value);
            offset += 4;
            Register { value, mask, sizing: false }
        });
        platform.config_write(devfn, COMMAND, 2, command);
        Self { registers }
    }

    /// Reads the register at an aligned offset.
    pub(crate) fn read(&self, offset: u8) -> u32 {
        self.register(offset).map_or(u32::MAX, |register| {
            if register.sizing { register.mask } else { register.value }
        })
    }

    /// Writes the register at an aligned offset.
    pub(crate) fn write(&mut self, offset: u8, value: u32) {
        let index = usize::from(offset - FIRST) / 4;
        let Some(register) = self.registers.get_mut(index) else { return };
        let flags = if register.mask & IO == 0 { MEMORY_FLAGS } else { IO_FLAGS };
        let address = |value: u32| value & register.mask & !flags;
        let moved = address(value) != address(register.value);
        register.sizing = moved && address(value) == address(u32::MAX);
        if moved && !register.sizing {
            log::warn!("addresses of devices do not move: bar={index} value={value:#x}");
        }
    }

    /// The device memory.
    pub(crate) fn regions(&self) -> impl Iterator<Item = Region> {
        let mut upper = false;
        self.registers.iter().zip(0_u8..).filter_map(move |(register, bar)| {
            if core::mem::take(&mut upper) || register.mask == 0 || register.mask & IO != 0 {
                return None;
            }
            upper = register.mask & TYPE_64_BIT != 0;
            let high = self.registers.get(usize::from(bar) + 1).filter(|_| upper);
            let wide = |low: u32, high: Option<u32>, missing: u32| {
                u64::from(high.unwrap_or(missing)) << 32 | u64::from(low & !MEMORY_FLAGS)
            };
            let hpa = wide(register.value, high.map(|high| high.value), 0);
            let mask = wide(register.mask, high.map(|high| high.mask), u32::MAX);
            (hpa != 0).then_some(Region { bar, hpa, size: mask.wrapping_neg() })
        })
    }

    /// Whether the machine's ports from `port` on, so many bytes, are in one of the ranges.
    pub(crate) fn has_ports(&self, port: u16, size: u8) -> bool {
        self.ports().any(|(first, count)| {
            let within = u32::from(port).checked_sub(first);
            within.is_some_and(|within| within + u32::from(size) <= count)
        })
    }

    /// Whether there are ports at all.
    pub(crate) fn are_ports(&self) -> bool {
        self.ports().next().is_some()
    }

    /// Ranges of ports: the first, and how many.
    fn ports(&self) -> impl Iterator<Item = (u32, u32)> {
        let mut upper = false;
        self.registers.iter().filter_map(move |register| {
            if core::mem::take(&mut upper) {
                return None;
            }
            upper = register.mask & (IO | TYPE_64_BIT) == TYPE_64_BIT;
            let first = register.value & !IO_FLAGS & 0xffff;
            let count = (register.mask & !IO_FLAGS & 0xffff).wrapping_neg() & 0xffff;
            (register.mask & IO != 0 && first != 0).then_some((first, count))
        })
    }

    fn register(&self, offset: u8) -> Option<&Register> {
        self.registers.get(usize::from(offset.checked_sub(FIRST)?) / 4)
    }
}
