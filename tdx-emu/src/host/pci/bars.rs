// SPDX-License-Identifier: MIT OR Apache-2.0
//! Base address registers of a device given to the TD.
//!
//! Device memory lies in the TD where it lies in the machine, so the registers do not move: the TD can
//! read them and size them, and a write of another address is told and ignored.
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
        let mut bars = Self { registers };
        bars.hide_ports();
        bars
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
        let address = |value: u32| value & register.mask & !MEMORY_FLAGS;
        let moved = address(value) != address(register.value);
        register.sizing = moved && address(value) == address(u32::MAX);
        if moved && !register.sizing {
            log::warn!("device memory does not move: bar={index} value={value:#x}");
        }
    }

    /// The device memory.
    pub(crate) fn regions(&self) -> impl Iterator<Item = Region> {
        let mut upper = false;
        self.registers.iter().zip(0_u8..).filter_map(move |(register, bar)| {
            if core::mem::take(&mut upper) || register.mask == 0 {
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

    /// Ports are not given to the TD: their registers look unimplemented.
    fn hide_ports(&mut self) {
        let mut upper = false;
        for register in &mut self.registers {
            if !core::mem::take(&mut upper) {
                if register.mask & IO != 0 {
                    *register = Register::default();
                }
                upper = register.mask & TYPE_64_BIT != 0;
            }
        }
    }

    fn register(&self, offset: u8) -> Option<&Register> {
        self.registers.get(usize::from(offset.checked_sub(FIRST)?) / 4)
    }
}
