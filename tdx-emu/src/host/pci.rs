// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices given to the TD: configuration space by ports, device memory by address.
//!
//! The TD sees the devices that the command line names, at their own numbers on bus 0, and nothing
//! else. Their memory is mapped straight into the shared EPT, except pages with an MSI-X table and
//! pages that hold memory of other devices too: accesses to those come as TDVMCALLs. Of the machine's ISA
//! bridge it reaches the registers that route lines.
//!
//! Spec: PCI "Configuration Mechanism".

/// What the machine must offer.
pub(crate) mod platform;

/// Base address registers.
pub(crate) mod bars;

/// The list of capabilities.
mod capability;

/// What the firmware left running ends.
pub(crate) mod hand_over;

/// One interrupt of a device.
pub(crate) mod entry;

/// MSI capability.
mod msi;

/// MSI-X capability and table.
mod msix;

/// Registers that route lines.
pub(crate) mod isa_bridge;

/// One device.
mod device;

/// The machine's own PCI and the IOMMU behind [`platform::Platform`].
#[cfg(target_os = "none")]
pub(crate) mod physical;

#[cfg(test)]
mod tests;

#[cfg(target_os = "none")]
use alloc::vec::Vec;

use self::{
    bars::Region,
    device::Device,
    entry::Message,
    hand_over::HandedOver,
    isa_bridge::IsaBridge,
    platform::{Platform, Target},
};
use super::command_line::PciId;

/// Port of the address register.
pub(crate) const ADDRESS: u16 = 0xcf8;

/// First of the four ports of the data register.
pub(crate) const DATA: u16 = 0xcfc;

const PAGE: u64 = 4096;

/// The devices of the TD.
#[derive(Debug)]
pub(crate) struct Pci {
    devices: Vec<Device>,
    bridge: Option<IsaBridge>,
    /// Memory of devices that the TD does not have: first address of each region.
    foreign: Vec<u64>,
    address: u32,
    removal: Option<Removal>,
}

/// A device that is taken away when the TD has read its configuration space so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// Which.
    pub(crate) id: PciId,
    /// Reads until then; 0 when it is gone.
    pub(crate) reads: u32,
}

/// Whether a read of configuration space was the last one before a device was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It was.
    Removed,
    /// It was not.
    None,
}

impl Pci {
    /// Looks for the wanted devices on bus 0 and takes them over. No device masters the bus
    /// afterwards.
    pub(crate) fn scan(wanted: &[PciId], platform: &mut impl Platform) -> Self {
        let mut pci = Self {
            devices: Vec::new(),
            bridge: None,
            foreign: Vec::new(),
            address: 0,
            removal: None,
        };
        let is_there = |devfn: &u8| platform.config_read(*devfn, 0, 2) & 0xffff != 0xffff;
        let functions: Vec<_> = (0..=u8::MAX).filter(is_there).collect();
        functions.iter().for_each(|devfn| hand_over::stop(*devfn, platform));
        for devfn in functions {
            let id = platform.config_read(devfn, 0, 4);
            let [vendor, device] =
                [id & 0xffff, id >> 16].map(|half| u16::try_from(half).unwrap_or(0));
            let id = PciId { vendor, device };
            if wanted.contains(&id) {
                match Device::new(devfn, id, platform) {
                    Some(device) => pci.devices.push(device),
                    None => log::error!("device lost in its reset: id={vendor:04x}:{device:04x}"),
                }
            } else {
                for offset in (bars::FIRST..bars::END).step_by(4) {
                    pci.foreign.push(u64::from(platform.config_read(devfn, offset, 4) & !0xf));
                }
            }
        }
        pci
    }

    /// Shows an ISA bridge; `false` if a device of the TD is where it would be.
    pub(crate) fn show_bridge(
        &mut self,
        choice: isa_bridge::Choice,
        platform: &mut impl Platform,
    ) -> bool {
        self.bridge = IsaBridge::find(choice, platform);
        let place = self.bridge.map(IsaBridge::devfn);
        self.devices.iter().all(|device| Some(device.devfn) != place)
    }

    /// Has a device taken away some time.
    pub(crate) fn plan_removal(&mut self, removal: Option<Removal>) {
        self.removal = removal.filter(|removal| removal.reads != 0);
    }

    /// Counts a read by the ports as the plan has it.
    pub(crate) fn count_read(&mut self, port: u16, size: u8) -> Event {
        let id = self.selected(port, size).map(|(_, device)| device.id);
        match &mut self.removal {
            Some(removal) if id == Some(removal.id) => {
                removal.reads = removal.reads.saturating_sub(1);
                if removal.reads == 0 { Event::Removed } else { Event::None }
            }
            _ => Event::None,
        }
    }

    /// Devices that are there.
    fn present(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(|device| !is_gone(self.removal, device))
    }

    /// The devices and their memory.
    pub(crate) fn devices(
        &self,
    ) -> impl Iterator<Item = (u8, PciId, HandedOver, impl Iterator<Item = Region>)> {
        let all = self.devices.iter();
        all.map(|device| (device.devfn, device.id, device.handed_over, device.bars.regions()))
    }

    /// Pins of the machine's IO-APIC that lines of the TD's devices end at, a bit each.
    pub(crate) fn lines(&self, platform: &mut impl Platform) -> u32 {
        let lines = self.devices.iter().filter_map(|device| device.line(platform));
        lines.fold(0, |lines, gsi| lines | 1 << gsi)
    }

    /// Pages of device memory that the TD accesses directly.
    pub(crate) fn pages(&self) -> impl Iterator<Item = u64> {
        self.devices.iter().flat_map(move |device| {
            let pages = device.bars.regions().flat_map(|region| {
                let first = region.hpa & !(PAGE - 1);
                (first..region.hpa + region.size).step_by(4096)
            });
            pages.filter(move |page| {
                let trapped = device.table().is_some_and(|table| table.traps(*page));
                !trapped && !self.foreign.iter().any(|other| other & !(PAGE - 1) == *page)
            })
        })
    }

    /// Reads 1, 2 or 4 bytes from one of the ports.
    pub(crate) fn port_read(&mut self, port: u16, size: u8, platform: &mut impl Platform) -> u32 {
        if port == ADDRESS && size == 4 {
            return self.address;
        }
        if let Some((offset, bridge)) = self.selected_bridge(port, size) {
            return bridge.read(offset, size, platform);
        }
        match self.selected(port, size) {
            Some((offset, device)) => device.read(offset, size, platform),
            None => u32::MAX,
        }
    }

    /// Writes 1, 2 or 4 bytes to one of the ports.
    pub(crate) fn port_write(
        &mut self,
        port: u16,
        size: u8,
        value: u32,
        platform: &mut impl Platform,
    ) {
        if port == ADDRESS && size == 4 {
            self.address = value;
        } else if let Some((offset, bridge)) = self.selected_bridge(port, size) {
            bridge.write(offset, size, value, platform);
        } else if let Some((offset, device)) = self.selected(port, size) {
            device.write(offset, size, value, platform);
        }
    }

    /// Sends a message of a device elsewhere than it says; `false` if no device of the TD sends it.
    pub(crate) fn redirect(
        &mut self,
        devfn: u8,
        message: Message,
        target: Target,
        platform: &mut impl Platform,
    ) -> bool {
        let removal = self.removal;
        let mut present = self.devices.iter_mut().filter(|device| !is_gone(removal, device));
        present
            .find(|device| device.devfn == devfn)
            .is_some_and(|device| device.redirect(message, target, platform))
    }

    /// Reads 1, 2 or 4 bytes from ports of a device; `None` if no device has them.
    pub(crate) fn device_port_read(
        &self,
        port: u16,
        size: u8,
        platform: &mut impl Platform,
    ) -> Option<u32> {
        self.has_ports(port, size).then(|| platform.port_read(port, size))
    }

    /// Writes 1, 2 or 4 bytes to ports of a device; `None` if no device has them.
    pub(crate) fn device_port_write(
        &self,
        port: u16,
        size: u8,
        value: u32,
        platform: &mut impl Platform,
    ) -> Option<()> {
        self.has_ports(port, size).then(|| platform.port_write(port, size, value))
    }

    fn has_ports(&self, port: u16, size: u8) -> bool {
        self.present().any(|device| device.has_ports(port, size))
    }

    /// Reads device memory that is not mapped; `None` if no device has it.
    pub(crate) fn memory_read(
        &self,
        gpa: u64,
        size: u8,
        platform: &mut impl Platform,
    ) -> Option<u64> {
        let device = self.present().find(|device| has_memory(device, gpa, size))?;
        match device.table().filter(|table| table.covers(gpa)) {
            Some(table) => Some(table.read(gpa, size)),
            None => Some(platform.memory_read(gpa, size)),
        }
    }

    /// Writes device memory that is not mapped; `None` if no device has it.
    pub(crate) fn memory_write(
        &mut self,
        gpa: u64,
        size: u8,
        value: u64,
        platform: &mut impl Platform,
    ) -> Option<()> {
        let removal = self.removal;
        let mut present = self.devices.iter_mut().filter(|device| !is_gone(removal, device));
        let device = present.find(|device| has_memory(device, gpa, size))?;
        match device.table_mut().filter(|table| table.covers(gpa)) {
            Some(table) => table.write(gpa, size, value, platform),
            None => platform.memory_write(gpa, size, value),
        }
        Some(())
    }

    /// The device and offset that an access to the data ports means.
    fn selected(&mut self, port: u16, size: u8) -> Option<(u8, &mut Device)> {
        let (devfn, offset) = self.addressed(port, size)?;
        let removal = self.removal;
        let mut present = self.devices.iter_mut().filter(|device| !is_gone(removal, device));
        let device = present.find(|device| device.devfn == devfn)?;
        Some((offset, device))
    }

    /// The same of the ISA bridge.
    fn selected_bridge(&mut self, port: u16, size: u8) -> Option<(u8, &mut IsaBridge)> {
        let (devfn, offset) = self.addressed(port, size)?;
        let bridge = self.bridge.as_mut().filter(|bridge| bridge.devfn() == devfn)?;
        Some((offset, bridge))
    }

    /// The function on bus 0 and the offset that an access to the data ports means.
    fn addressed(&self, port: u16, size: u8) -> Option<(u8, u8)> {
        const ENABLE: u32 = 1 << 31;
        let byte = u8::try_from(port.checked_sub(DATA)?).ok().filter(|byte| byte + size <= 4)?;
        let [register, devfn, bus, _] = self.address.to_le_bytes();
        (self.address & ENABLE != 0 && bus == 0).then_some((devfn, (register & !3) + byte))
    }
}

fn is_gone(removal: Option<Removal>, device: &Device) -> bool {
    removal.is_some_and(|removal| removal.reads == 0 && removal.id == device.id)
}

fn has_memory(device: &Device, gpa: u64, size: u8) -> bool {
    let end = gpa.saturating_add(u64::from(size));
    device.bars.regions().any(|region| region.hpa <= gpa && end <= region.hpa + region.size)
}
