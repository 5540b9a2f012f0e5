// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MSI-X capability and its table, which is written by plain 32-bit stores.

use super::{Function, message::Message};
use crate::failure::Failure;
use crate::registers::Registers;

/// Identifier of the capability.
const CAPABILITY: u8 = 0x11;

/// Bits of the message control word, which is the upper half of the first double word.
const ENABLE: u32 = 1 << 31;
const SIZE: u32 = 0x7ff;

/// The BAR number in the table's position.
const BAR: u32 = 0x7;

/// Words of a table entry.
const ADDRESS: usize = 0;
const ADDRESS_HIGH: usize = 4;
const DATA: usize = 8;
const CONTROL: usize = 12;
const ENTRY: usize = 16;

/// Mask bit of the control word.
const MASKED: u32 = 1;

/// A function's MSI-X table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MsiX {
    function: Function,
    offset: u8,
    table: Registers,
    start: usize,
    entries: u16,
}

impl MsiX {
    /// Finds and maps the table.
    pub(crate) fn of(function: Function, shared: u64) -> Result<Self, Failure> {
        let offset = function.capability(CAPABILITY).ok_or(Failure::BadDevice("no MSI-X"))?;
        let size = (function.read(offset) >> 16 & SIZE) + 1;
        let entries = u16::try_from(size).map_err(|_| Failure::BadDevice("MSI-X table size"))?;
        let position = function.read(offset + 4);
        let [bar, ..] = (position & BAR).to_le_bytes();
        let start = (position & !BAR) as usize;
        let length = (start + ENTRY * usize::from(entries)) as u64;
        let table = function.map(bar, length, shared)?;
        Ok(Self { function, offset, table, start, entries })
    }

    /// Number of entries.
    pub(crate) fn entries(&self) -> u16 {
        self.entries
    }

    /// Linear address of the table.
    pub(crate) fn address(&self) -> u64 {
        self.table.address(self.start)
    }

    /// Lets the function send the messages of unmasked entries.
    pub(crate) fn enable(&self) {
        self.function.write(self.offset, self.function.read(self.offset) | ENABLE);
    }

    /// Lets the function send no message; interrupts meanwhile are gone.
    pub(crate) fn disable(&self) {
        self.function.write(self.offset, self.function.read(self.offset) & !ENABLE);
    }

    /// Masks `entry` and gives it `message`.
    pub(crate) fn program(&self, entry: u16, message: Message) {
        self.mask(entry);
        self.write(entry, ADDRESS, message.address);
        self.write(entry, ADDRESS_HIGH, 0);
        self.write(entry, DATA, message.data);
    }

    /// Masks `entry`: what it would send stays pending at the device.
    pub(crate) fn mask(&self, entry: u16) {
        self.write(entry, CONTROL, MASKED);
    }

    /// Unmasks `entry`, or finds that it is refused: then the mask bit reads back as set.
    pub(crate) fn unmask(&self, entry: u16) -> Result<(), Failure> {
        self.write(entry, CONTROL, 0);
        if self.is_masked(entry) { Err(Failure::Refused(entry)) } else { Ok(()) }
    }

    /// Whether the mask bit of `entry` reads as set.
    pub(crate) fn is_masked(&self, entry: u16) -> bool {
        self.table.read(self.at(entry, CONTROL)) & MASKED != 0
    }

    /// The linear address of `entry`.
    pub(crate) fn linear(&self, entry: u16) -> u64 {
        self.table.linear(self.at(entry, 0))
    }

    fn write(&self, entry: u16, word: usize, value: u32) {
        self.table.write(self.at(entry, word), value);
    }

    fn at(&self, entry: u16, word: usize) -> usize {
        self.start + ENTRY * usize::from(entry) + word
    }
}
