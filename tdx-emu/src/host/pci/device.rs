// SPDX-License-Identifier: MIT OR Apache-2.0
//! One device given to the TD: its configuration space as the TD sees it.
//!
//! What is not named here reads as the device has it and ignores writes: the TD cannot reach power
//! management, slot control or anything else that would concern the machine. There is no expansion ROM.
//! An interrupt pin is silent until the TD lets it interrupt. A device that no IOMMU confines does not master the bus.
//!
//! Whether a device decodes memory and ports are bits that the TD reads back; the device always does, and
//! ports that the TD has switched off are not accessed for it. Were it
//! switched off and on while other CPUs run, QEMU's map of memory would change under them, which
//! QEMU 7.2 does not survive when each CPU has a thread of its own.
//!
//! Spec: PCI "Configuration Space Organization".

use super::{
    bars::{self, Bars},
    capability,
    entry::Message,
    hand_over::{self, HandedOver},
    msi::{self, Msi},
    msix::{self, Table},
    platform::{Platform, Target},
};
use crate::{
    host::{command_line::PciId, io_apic::wiring},
    observe::{self, Source},
};

const COMMAND: u8 = 0x04;
const ROM: u8 = 0x30;
const INTERRUPT: u8 = 0x3c;

/// Bits of the command register that the TD writes.
const PORTS: u8 = 1 << 0;
const MEMORY: u8 = 1 << 1;
const BUS_MASTER: u8 = 1 << 2;

/// The device must not raise its interrupt pin.
const INTX_DISABLE: u32 = 1 << 10;

/// The same in the upper byte of the command register, of which the TD writes nothing else.
const SILENT: u8 = 1 << 2;

/// A device of the TD.
#[derive(Debug)]
pub(crate) struct Device {
    /// Device number in bits 7:3, function in bits 2:0.
    pub(crate) devfn: u8,
    /// Vendor and device.
    pub(crate) id: PciId,
    /// Base address registers.
    pub(crate) bars: Bars,
    /// How it came from the firmware.
    pub(crate) handed_over: HandedOver,
    /// Whether it reaches shared memory only; else it must not master the bus.
    confined: bool,
    /// What the TD has it decode: memory and ports, as in the command register.
    decodes: u8,
    /// The command register's upper byte.
    upper: u8,
    msi: Option<Msi>,
    msix: Option<Table>,
}

impl Device {
    /// Takes a device over that was stopped; `None` if it does not survive its reset.
    pub(crate) fn new(devfn: u8, id: PciId, platform: &mut impl Platform) -> Option<Self> {
        let handed_over = hand_over::reset(devfn, platform)?;
        let found = platform.config_read(devfn, COMMAND, 2);
        let bars = Bars::new(devfn, platform);
        let [decoded, ..] = found.to_le_bytes();
        let decodes = decoded & (MEMORY | ports_of(&bars));
        let command = found | INTX_DISABLE | u32::from(MEMORY | ports_of(&bars));
        platform.config_write(devfn, COMMAND, 2, command);
        let source = Source { vendor: id.vendor, device: id.device, devfn, entry: 0 };
        let confined = platform.confine(devfn);
        let (msi, msix) = (None, None);
        let mut device =
            Self { devfn, id, bars, handed_over, confined, decodes, upper: SILENT, msi, msix };
        device.take_interrupts(source, platform);
        Some(device)
    }

    /// The pin of the machine's IO-APIC that its interrupt pin leads to, if it has one.
    pub(crate) fn line(&self, platform: &mut impl Platform) -> Option<u8> {
        let [_, pin, ..] = platform.config_read(self.devfn, INTERRUPT, 4).to_le_bytes();
        wiring::gsi(self.devfn, pin)
    }

    /// Whether ports of the machine are the device's, and the TD has it decode them.
    pub(crate) fn has_ports(&self, port: u16, size: u8) -> bool {
        self.decodes & PORTS != 0 && self.bars.has_ports(port, size)
    }

    /// Reads 1, 2 or 4 bytes that do not cross a double word.
    pub(crate) fn read(&self, offset: u8, size: u8, platform: &mut impl Platform) -> u32 {
        let dword = self.dword(offset & !3, platform) >> (8 * (offset & 3));
        if size >= 4 { dword } else { dword & ((1 << (8 * size)) - 1) }
    }

    /// Writes 1, 2 or 4 bytes that do not cross a double word.
    pub(crate) fn write(&mut self, offset: u8, size: u8, value: u32, platform: &mut impl Platform) {
        if (bars::FIRST..bars::END).contains(&offset) {
            if size == 4 {
                self.bars.write(offset, value);
            }
            return;
        }
        let mut msi_changed = false;
        for (offset, byte) in (offset..offset.saturating_add(size)).zip(value.to_le_bytes()) {
            msi_changed |= self.write_byte(offset, byte, platform);
        }
        if let Some(msi) = self.msi.as_mut().filter(|_| msi_changed) {
            msi.apply(platform);
        }
    }

    /// Sends a message elsewhere than it says; `false` if the device sends no such message.
    pub(crate) fn redirect(
        &mut self,
        message: Message,
        target: Target,
        platform: &mut impl Platform,
    ) -> bool {
        self.msix.as_mut().is_some_and(|table| table.redirect(message, target, platform))
            || self.msi.as_mut().is_some_and(|msi| msi.redirect(message, target, platform))
    }

    /// The MSI-X table, if there is one.
    pub(crate) fn table(&self) -> Option<&Table> {
        self.msix.as_ref()
    }

    /// The MSI-X table, to be written.
    pub(crate) fn table_mut(&mut self) -> Option<&mut Table> {
        self.msix.as_mut()
    }

    /// Writes one byte; tells whether it belongs to the MSI capability.
    fn write_byte(&mut self, offset: u8, byte: u8, platform: &mut impl Platform) -> bool {
        if offset == COMMAND {
            let decodable = MEMORY | ports_of(&self.bars);
            self.decodes = byte & decodable;
            let masters = if self.confined { byte & BUS_MASTER } else { 0 };
            let command = u16::from_le_bytes([decodable | masters, self.upper]);
            platform.config_write(self.devfn, COMMAND, 2, command.into());
        }
        if offset == COMMAND + 1 {
            self.upper = byte & SILENT;
            platform.config_write(self.devfn, COMMAND + 1, 1, self.upper.into());
        }
        if self.msix.as_ref().is_some_and(|table| offset == table.start + msix::CONTROL + 1) {
            let enabled =
                platform.config_read(self.devfn, offset, 1) & u32::from(msix::ENABLE) != 0;
            if !enabled && byte & msix::ENABLE != 0 {
                observe::switched_on(self.devfn);
            }
            platform.config_write(self.devfn, offset, 1, u32::from(byte & msix::WRITABLE));
        }
        let Some(msi) = &mut self.msi else { return false };
        if msi.is_mask(offset) {
            platform.config_write(self.devfn, offset, 1, u32::from(byte));
        }
        let covered = msi.covers(offset);
        if covered {
            msi.write(offset, byte);
        }
        covered
    }

    fn dword(&self, offset: u8, platform: &mut impl Platform) -> u32 {
        if (bars::FIRST..bars::END).contains(&offset) {
            return self.bars.read(offset);
        }
        let physical = platform.config_read(self.devfn, offset, 4);
        match offset {
            ROM => 0,
            // The firmware's line means nothing to the TD.
            INTERRUPT => physical & 0xffff_ff00,
            COMMAND => physical & !u32::from(MEMORY | PORTS) | u32::from(self.decodes),
            _ => self.with_msi(offset, physical),
        }
    }

    /// Replaces the bytes that belong to the MSI capability.
    fn with_msi(&self, offset: u8, physical: u32) -> u32 {
        let Some(msi) = &self.msi else { return physical };
        let mut bytes = physical.to_le_bytes();
        for (offset, byte) in (offset..=offset + 3).zip(&mut bytes) {
            if msi.covers(offset) {
                *byte = msi.read(offset);
            }
        }
        u32::from_le_bytes(bytes)
    }

    /// Finds the MSI and MSI-X capabilities and switches both off.
    fn take_interrupts(&mut self, source: Source, platform: &mut impl Platform) {
        if let Some(start) = capability::find(self.devfn, msi::ID, platform) {
            self.msi = Some(Msi::new(self.devfn, start, source, platform));
        }
        if let Some(start) = capability::find(self.devfn, msix::ID, platform) {
            self.msix = msix::take_over(self.devfn, start, &self.bars, source, platform);
        }
    }
}

/// The bit of the command register by which ports are decoded, if there are any.
fn ports_of(bars: &Bars) -> u8 {
    if bars.are_ports() { PORTS } else { 0 }
}
