// SPDX-License-Identifier: MIT OR Apache-2.0
//! A function of bus 0 and its configuration space.

use core::fmt::{self, Display, Formatter};

use crate::failure::Failure;
use crate::port;
use crate::registers::Registers;

/// The two ports of configuration mechanism #1.
const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

/// Offsets of the header.
const ID: u8 = 0x00;
const COMMAND: u8 = 0x04;
const HEADER_TYPE: u8 = 0x0c;
const BARS: u8 = 0x10;
const CAPABILITIES: u8 = 0x34;
const INTERRUPT: u8 = 0x3c;

/// Command bits: answer memory accesses, master the bus, no INTx.
const MEMORY: u32 = 1 << 1;
const MASTER: u32 = 1 << 2;
const NO_INTX: u32 = 1 << 10;

/// Header type bit (in the double word at 0x0c): more functions follow.
const MULTI_FUNCTION: u32 = 1 << 23;

/// Kind bits of a memory BAR.
const BAR_IO: u32 = 1 << 0;
const BAR_64: u32 = 1 << 2;

/// Most capabilities the list is followed for; it may not be trusted to end.
const MAX_CAPABILITIES: usize = 48;

/// Vendor and device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    /// The vendor.
    pub(crate) vendor: u16,
    /// The vendor's device.
    pub(crate) device: u16,
}

/// A function of bus 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    device: u8,
    function: u8,
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "00:{:02x}.{}", self.device, self.function)
    }
}

/// Finds the first function with `id`.
pub(crate) fn find(id: Id) -> Option<Function> {
    find_all(id).next()
}

/// Finds all functions with `id`.
pub(crate) fn find_all(id: Id) -> impl Iterator<Item = Function> {
    let wanted = u32::from(id.device) << 16 | u32::from(id.vendor);
    (0..32)
        .flat_map(|device| {
            let many = Function { device, function: 0 }.read(HEADER_TYPE) & MULTI_FUNCTION != 0;
            (0..if many { 8 } else { 1 }).map(move |function| Function { device, function })
        })
        .filter(move |function| function.read(ID) == wanted)
}

impl Function {
    /// Reads the double word at `offset`.
    pub(crate) fn read(self, offset: u8) -> u32 {
        port::write32(ADDRESS, self.address(offset));
        port::read32(DATA)
    }

    /// Writes the double word at `offset`.
    pub(crate) fn write(self, offset: u8, value: u32) {
        port::write32(ADDRESS, self.address(offset));
        port::write32(DATA, value);
    }

    /// Lets the function answer memory accesses and write messages, and raise no INTx.
    pub(crate) fn enable(self) {
        let [low, high, ..] = self.read(COMMAND).to_le_bytes();
        // The upper half is the status, whose bits are cleared by writing ones.
        let command = u32::from(u16::from_le_bytes([low, high]));
        self.write(COMMAND, command | MEMORY | MASTER | NO_INTX);
    }

    /// Lets the function answer memory accesses and pull its line. Returns its pin; 0 is none.
    pub(crate) fn enable_line(self) -> u8 {
        let [low, high, ..] = self.read(COMMAND).to_le_bytes();
        let command = u32::from(u16::from_le_bytes([low, high]));
        self.write(COMMAND, (command | MEMORY) & !NO_INTX);
        let [_, pin, ..] = self.read(INTERRUPT).to_le_bytes();
        pin
    }

    /// Lets the function write to memory if it may not, and the other way round.
    pub(crate) fn switch_master(self) {
        let [low, high, ..] = self.read(COMMAND).to_le_bytes();
        self.write(COMMAND, u32::from(u16::from_le_bytes([low, high])) ^ MASTER);
    }

    /// Offset of the capability with identifier `id`.
    pub(crate) fn capability(self, id: u8) -> Option<u8> {
        let [mut offset, ..] = self.read(CAPABILITIES).to_le_bytes();
        for _ in 0..MAX_CAPABILITIES {
            offset &= !3;
            if offset == 0 {
                return None;
            }
            let [found, next, ..] = self.read(offset).to_le_bytes();
            if found == id {
                return Some(offset);
            }
            offset = next;
        }
        None
    }

    /// Maps the first `length` bytes of memory BAR `index`.
    pub(crate) fn map(self, index: u8, length: u64, shared: u64) -> Result<Registers, Failure> {
        if index > 5 {
            return Err(Failure::BadDevice("BAR number"));
        }
        let low = self.read(BARS + 4 * index);
        let high = if low & BAR_64 != 0 && index < 5 { self.read(BARS + 4 * index + 4) } else { 0 };
        let address = u64::from(high) << 32 | u64::from(low & !0xf);
        if low & BAR_IO != 0 || address == 0 {
            return Err(Failure::BadDevice("BAR without a memory address"));
        }
        Registers::map(address, length, shared)
    }

    fn address(self, offset: u8) -> u32 {
        1 << 31 | u32::from(self.device) << 11 | u32::from(self.function) << 8 | u32::from(offset)
    }
}
