// SPDX-License-Identifier: MIT OR Apache-2.0
//! One function of the host: its registers, and what L1 has told it.

use paravisor::pci::machine::Register;

/// Functions of the host, at most.
pub(super) const FUNCTIONS: u16 = 4;
/// Where the base addresses of the first function point.
pub(super) const BAR: u64 = 0xfe00_0000;
pub(super) const PAGE: u64 = 4096;

pub(super) const MSI: u8 = 0x50;
pub(super) const MSIX: u8 = 0x40;
pub(super) const EXPRESS: u8 = 0x70;
pub(super) const ENTRIES: u16 = 9;
/// Offset of the base address register of ports.
pub(super) const PORTS: u8 = 0x24;
/// How many ports there are, and where those of the first function begin.
pub(super) const PORT_COUNT: u16 = 0x20;
pub(super) const FIRST_PORT: u16 = 0xc000;
/// Where the table lies behind the base address: not at the beginning of a page.
const TABLE: u64 = 0x40;

/// What a device has been told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) address: u64,
    pub(super) data: u32,
    pub(super) is_masked: bool,
}

/// One function of the host.
#[derive(Debug)]
pub(super) struct Device {
    space: [u8; 256],
    /// Whether its capabilities are where the machine believes.
    pub(super) is_plain: bool,
    pub(super) has_msi: bool,
    pub(super) has_msix: bool,
    pub(super) is_wide_msi: bool,
    pub(super) has_mask: bool,
    pub(super) msi: Told,
    pub(super) msi_on: bool,
    pub(super) entries: Vec<Told>,
    pub(super) msix_on: bool,
    /// What L1 has read of the device control.
    pub(super) control: u16,
    pub(super) is_there: bool,
}

fn put(space: &mut [u8; 256], at: u8, bytes: &[u8]) {
    let at = usize::from(at);
    space[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Device {
    /// A function with MSI, MSI-X, both or none, changed as the input says: pairs of an offset and bits.
    pub(super) fn new(index: u16, kinds: u8, changes: &[u8]) -> Self {
        let mut space = [0; 256];
        let bar = u32::try_from(BAR + u64::from(index) * 2 * PAGE).expect("it is below 4 GiB");
        put(&mut space, 0, &[0x36, 0x1b, 0x10, 0x00, 0, 0, 0x10, 0, 2, 0, 0, 1]);
        put(&mut space, 0x10, &bar.to_le_bytes());
        // The pin is off; ports are decoded.
        put(&mut space, 4, &[1, 4]);
        put(&mut space, PORTS, &(FIRST_PORT + index * PORT_COUNT + 1).to_le_bytes());
        let (msi, msix) = (kinds & 1 != 0, kinds & 2 != 0);
        let first = if msix { MSIX } else { MSI };
        put(&mut space, 0x34, &[first]);
        let [low, high] = (ENTRIES - 1).to_le_bytes();
        let after_msix = if msi { MSI } else { EXPRESS };
        put(&mut space, MSIX, &[0x11, after_msix, low, high, 0x40, 0, 0, 0]);
        put(&mut space, MSI, &[if msi { 5 } else { 0x33 }, EXPRESS, 0x80, 1]);
        put(&mut space, EXPRESS, &[0x10, 0, 2, 0]);
        let plain = space;
        for [at, bits] in changes.as_chunks().0 {
            space[usize::from(*at)] ^= bits;
        }
        // The numbers of the vendor and what MSI is able to do may change without more.
        let mut like = space;
        like[..4].copy_from_slice(&plain[..4]);
        put(&mut like, MSI + 2, &[plain[usize::from(MSI) + 2], plain[usize::from(MSI) + 3]]);
        Self {
            space,
            is_plain: like == plain,
            has_msi: msi,
            has_msix: msix,
            is_wide_msi: space[usize::from(MSI) + 2] & 0x80 != 0,
            has_mask: space[usize::from(MSI) + 3] & 1 != 0,
            msi: Told::default(),
            msi_on: false,
            entries: vec![Told { is_masked: true, ..Told::default() }; ENTRIES.into()],
            msix_on: false,
            control: 0,
            is_there: true,
        }
    }

    pub(super) fn get(&self, offset: u8, size: u8) -> u32 {
        let byte = |at: usize| self.space.get(at).copied().unwrap_or(0);
        (0..size)
            .rev()
            .fold(0, |all, i| all << 8 | u32::from(byte(usize::from(offset) + usize::from(i))))
    }

    /// As hardware: the lowest bits of a base address do not change.
    pub(super) fn set(&mut self, Register { offset, size, .. }: Register, value: u32) {
        let is_address = (0x10..0x28).contains(&offset);
        let is_port = is_address && self.get(offset, 1) & 3 == 1;
        let fixed = if is_port { u32::from(PORT_COUNT) - 1 } else { 0x1fff };
        let value = if is_address { value & !fixed | self.get(offset, 4) & fixed } else { value };
        put(&mut self.space, offset, &value.to_le_bytes()[..size.into()]);
    }

    /// Where its table is, if the base address has a value that a table can be at.
    pub(super) fn table(&self) -> Option<core::ops::Range<u64>> {
        let bar = u64::from(self.get(0x10, 4) & !0xf);
        let start = bar + TABLE;
        (self.is_plain && self.has_msix && bar >= PAGE)
            .then_some(start..start + 16 * u64::from(ENTRIES))
    }

    /// What it could send at this moment.
    pub(super) fn sends(&self) -> impl Iterator<Item = (u16, Told)> {
        let entries = (0..).zip(&self.entries).map(|(number, told)| (number, *told));
        let entries = entries.filter(|(_, told)| self.msix_on && !told.is_masked);
        let msi = (self.msi_on && !self.msi.is_masked).then_some((0, self.msi));
        entries.chain(msi)
    }
}
