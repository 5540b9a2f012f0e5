// SPDX-License-Identifier: MIT OR Apache-2.0
//! MSI-X table as the TD sees it: its messages are kept by the host.
//!
//! The pages of the table are not mapped in the shared EPT, so each access comes as a TDVMCALL. Mask
//! bits reach the device, which then keeps the pending bits; messages do not (see `entry`).
//! What else lies in those pages is passed through.
//!
//! Spec: PCI "MSI-X Capability and Table Structure".

#[cfg(target_os = "none")]
use alloc::vec::Vec;

use super::{
    bars::Bars,
    entry::{Entry, Message},
    platform::{Platform, Target},
};
use crate::observe::Source;

/// Capability id.
pub(crate) const ID: u8 = 0x11;

/// Offset of the message control word in the capability.
pub(crate) const CONTROL: u8 = 2;

/// The bit of the upper control byte that switches the interrupts on.
pub(crate) const ENABLE: u8 = 0x80;

/// Bits of the upper control byte that the TD may write: enable and function mask.
pub(crate) const WRITABLE: u8 = 0xc0;

const ENTRY: u64 = 16;
const MASKED: u32 = 1;

/// Takes the capability at `start` over, switched off; `None` if its table lies nowhere.
pub(crate) fn take_over(
    devfn: u8,
    start: u8,
    bars: &Bars,
    source: Source,
    platform: &mut impl Platform,
) -> Option<Table> {
    const COUNT: u32 = 0x7ff;
    const BAR: u32 = 0x7;
    let control = platform.config_read(devfn, start + CONTROL, 2);
    platform.config_write(devfn, start + CONTROL + 1, 1, 0);
    let place = platform.config_read(devfn, start + 4, 4);
    let region = bars.regions().find(|region| u32::from(region.bar) == place & BAR)?;
    let count = u16::try_from((control & COUNT) + 1).ok()?;
    let offset = u64::from(place & !BAR);
    let fits = offset + u64::from(count) * ENTRY <= region.size;
    fits.then(|| Table::new(start, region.hpa + offset, count, source))
}

/// The MSI-X table of one device.
#[derive(Debug)]
pub(crate) struct Table {
    /// Where the capability starts in configuration space.
    pub(crate) start: u8,
    hpa: u64,
    entries: Vec<(Entry, u32)>,
}

impl Table {
    /// Takes a table of `count` entries at `hpa` over; all are masked, as after a reset.
    pub(crate) fn new(start: u8, hpa: u64, count: u16, source: Source) -> Self {
        let entry = |entry| (Entry::new(Source { entry, ..source }), MASKED);
        Self { start, hpa, entries: (0..count).map(entry).collect() }
    }

    /// Whether an address lies in the table itself.
    pub(crate) fn covers(&self, hpa: u64) -> bool {
        (self.hpa..self.hpa + self.length()).contains(&hpa)
    }

    /// Whether an address lies in one of the table's pages, which are not mapped.
    pub(crate) fn traps(&self, hpa: u64) -> bool {
        let page = |address: u64| address & !0xfff;
        (page(self.hpa)..page(self.hpa + self.length() - 1) + 0x1000).contains(&hpa)
    }

    /// Reads 4 or 8 aligned bytes of the table; anything else reads as all-ones.
    pub(crate) fn read(&self, hpa: u64, size: u8) -> u64 {
        match size {
            4 => u64::from(self.dword(hpa)),
            8 => u64::from(self.dword(hpa)) | u64::from(self.dword(hpa + 4)) << 32,
            _ => u64::MAX,
        }
    }

    /// Writes 4 or 8 aligned bytes of the table; anything else is ignored, as the specification
    /// allows.
    pub(crate) fn write(&mut self, hpa: u64, size: u8, value: u64, platform: &mut impl Platform) {
        let [low, high] =
            [value & 0xffff_ffff, value >> 32].map(|half| (half & 0xffff_ffff) as u32);
        match size {
            4 => self.set_dword(hpa, low),
            8 => {
                self.set_dword(hpa, low);
                self.set_dword(hpa + 4, high);
            }
            _ => return,
        }
        self.apply(self.index(hpa), platform);
    }

    /// Sends a message elsewhere than it says; `false` if no entry has it.
    pub(crate) fn redirect(
        &mut self,
        message: Message,
        target: Target,
        platform: &mut impl Platform,
    ) -> bool {
        let entries = self.entries.iter_mut();
        entries.fold(false, |any, (entry, _)| entry.redirect(message, target, platform) || any)
    }

    /// Programs one entry of the device: masked while its message changes.
    fn apply(&mut self, index: usize, platform: &mut impl Platform) {
        let Some((entry, control)) = self.entries.get_mut(index) else { return };
        let at = self.hpa + index as u64 * ENTRY;
        platform.memory_write(at + 12, 4, u64::from(MASKED));
        if *control & MASKED != 0 {
            return;
        }
        let Some(message) = entry.route(platform) else { return };
        platform.memory_write(at, 4, u64::from(message.address));
        platform.memory_write(at + 4, 4, 0);
        platform.memory_write(at + 8, 4, u64::from(message.data));
        platform.memory_write(at + 12, 4, 0);
    }

    fn length(&self) -> u64 {
        self.entries.len() as u64 * ENTRY
    }

    fn index(&self, hpa: u64) -> usize {
        usize::try_from(hpa.wrapping_sub(self.hpa) / ENTRY).unwrap_or(usize::MAX)
    }

    fn dword(&self, hpa: u64) -> u32 {
        let Some((entry, control)) = self.entries.get(self.index(hpa)) else { return u32::MAX };
        let address = entry.message.address;
        match (hpa - self.hpa) % ENTRY {
            0 => (address & 0xffff_ffff) as u32,
            4 => (address >> 32) as u32,
            8 => entry.message.data,
            12 => *control,
            _ => u32::MAX,
        }
    }

    fn set_dword(&mut self, hpa: u64, value: u32) {
        let index = self.index(hpa);
        let Some((entry, control)) = self.entries.get_mut(index) else { return };
        let message = &mut entry.message;
        match (hpa - self.hpa) % ENTRY {
            0 => message.address = message.address & !0xffff_ffff | u64::from(value),
            4 => message.address = message.address & 0xffff_ffff | u64::from(value) << 32,
            8 => message.data = value,
            12 => *control = value & MASKED,
            _ => {}
        }
    }
}
