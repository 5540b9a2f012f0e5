// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a scenario works with: the options and the devices, each brought up when first needed.

use crate::command_line::Options;
use crate::console::line;
use crate::devices::doorbell::Doorbell;
use crate::devices::edu::Edu;
use crate::dma_page::DmaPage;
use crate::failure::Failure;
use crate::pci::Function;
use crate::vectors::MAX_ENTRIES;

/// Options and devices.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    options: &'a Options<'a>,
    edu: Option<Edu>,
    doorbell: Option<Doorbell>,
    dma_page: Option<DmaPage>,
}

impl<'a> Machine<'a> {
    /// No device is brought up yet.
    pub(crate) fn new(options: &'a Options<'a>) -> Self {
        Self { options, edu: None, doorbell: None, dma_page: None }
    }

    /// The edu device.
    pub(crate) fn edu(&mut self) -> Result<&Edu, Failure> {
        if self.edu.is_none() {
            let edu = Edu::find(self.options.shared)?;
            line!("info  pci: device={} id=1234:11e8", edu.function());
            self.edu = Some(edu);
        }
        self.edu.as_ref().ok_or(Failure::NoDevice("1234:11e8"))
    }

    /// The doorbell device.
    pub(crate) fn doorbell(&mut self) -> Result<&Doorbell, Failure> {
        if self.doorbell.is_none() {
            let bell = Doorbell::find(self.options.shared)?;
            let entries = bell.msix().entries();
            line!("info  pci: device={} id=1af4:1110 entries={entries}", bell.function());
            self.doorbell = Some(bell);
        }
        self.doorbell.as_ref().ok_or(Failure::NoDevice("1af4:1110"))
    }

    /// The page for transfers of devices.
    pub(crate) fn dma_page(&mut self) -> Result<DmaPage, Failure> {
        match self.dma_page {
            Some(page) => Ok(page),
            None => Ok(*self.dma_page.insert(DmaPage::new(self.options.shared)?)),
        }
    }

    /// The `count` of the command line, or the scenario's own.
    pub(crate) fn count(&self, default: u32) -> u32 {
        self.options.count.unwrap_or(default)
    }

    /// The `vectors` of the command line, or the scenario's own, if the doorbell has as many.
    pub(crate) fn entries(&mut self, default: u16) -> Result<u16, Failure> {
        let wanted = self.options.vectors.unwrap_or(default);
        let available = self.doorbell()?.msix().entries().min(MAX_ENTRIES);
        if wanted == 0 || wanted > available {
            return Err(Failure::TooManyEntries { wanted, available });
        }
        Ok(wanted)
    }

    /// The bit that makes an address shared, or 0.
    pub(crate) fn shared_bit(&self) -> u64 {
        self.options.shared
    }

    /// Number of CPUs.
    pub(crate) fn cpus(&self) -> u8 {
        self.options.cpus
    }

    /// The CPU that `entry` belongs to as long as a scenario does not move it.
    pub(crate) fn home(&self, entry: u16) -> u8 {
        let [cpu, _] = (entry % u16::from(self.cpus())).to_le_bytes();
        cpu
    }

    /// Where edu is, once brought up.
    pub(crate) fn edu_function(&self) -> Option<Function> {
        self.edu.as_ref().map(Edu::function)
    }

    /// Where the doorbell is, once brought up.
    pub(crate) fn doorbell_function(&self) -> Option<Function> {
        self.doorbell.as_ref().map(Doorbell::function)
    }
}
