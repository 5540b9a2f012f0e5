// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MSI-X capability: switched on or off, masked as a whole or not, and where the table is.
//!
//! Spec: PCI "Message Control for MSI-X", "Table Offset/BIR for MSI-X".

/// L2's view of one MSI-X capability.
#[derive(Clone, Copy, Debug)]
pub struct Msix {
    /// Register of the capability's first byte.
    pub offset: u8,
    /// Number of table entries: 1–2048.
    pub entries: u16,
    /// Number of the base address register the table is behind.
    pub bar: u8,
    /// Byte offset of the table there.
    pub table: u32,
    control: u16,
}

const CONTROL_ENABLE: u16 = 1 << 15;
const CONTROL_MASK_ALL: u16 = 1 << 14;
const CONTROL_SIZE: u16 = 0x07ff;

impl Msix {
    /// The capability at `offset`, whose control word and table register the host says are these.
    #[must_use]
    pub const fn new(offset: u8, control: u16, table: u32) -> Self {
        Self {
            offset,
            entries: (control & CONTROL_SIZE) + 1,
            bar: (table & 7) as u8,
            table: table & !7,
            control: control & CONTROL_SIZE,
        }
    }

    /// Whether the dword at `register` is the one with the control word.
    #[must_use]
    pub const fn covers(&self, register: u8) -> bool {
        register == self.offset
    }

    /// L2's view of the control dword; `device` is what the host returned for it.
    #[must_use]
    pub fn read(&self, device: u32) -> u32 {
        device & 0xffff | u32::from(self.control) << 16
    }

    /// L2 writes the control dword. Returns the control word for the device.
    pub const fn write(&mut self, value: u32) -> u16 {
        let switches = (value >> 16 & (CONTROL_ENABLE | CONTROL_MASK_ALL) as u32) as u16;
        self.control = self.control & CONTROL_SIZE | switches;
        self.control
    }

    /// Keeps it off, whatever L2 has written. Returns the control word for the device.
    pub const fn keep_off(&mut self) -> u16 {
        self.control &= !CONTROL_ENABLE;
        self.control
    }

    /// Register of the control word.
    #[must_use]
    pub const fn control_register(&self) -> u8 {
        self.offset + 2
    }

    /// Whether the function uses its table at all.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.control & CONTROL_ENABLE != 0
    }

    /// Bytes the table takes.
    #[must_use]
    pub const fn table_size(&self) -> u64 {
        self.entries as u64 * 16
    }
}

#[cfg(test)]
mod tests {
    use super::Msix;

    #[test]
    fn the_capability_says_where_the_table_is() {
        let msix = Msix::new(0x40, 0x002f, 0x0000_2001);
        assert_eq!((msix.entries, msix.bar, msix.table), (48, 1, 0x2000));
        assert_eq!(msix.table_size(), 768);
        assert_eq!(Msix::new(0x40, 0xffff, 0).entries, 2048);
        assert!(!Msix::new(0x40, 0xffff, 0).is_enabled(), "what the host left behind is not L2's");
    }

    #[test]
    fn l2_switches_and_masks_but_does_not_resize() {
        let mut msix = Msix::new(0x40, 0x002f, 0);
        assert_eq!(msix.write(0xffff_ffff), 0xc02f);
        assert!(msix.is_enabled());
        assert_eq!(msix.read(0x002f_5011), 0xc02f_5011);
        assert_eq!(msix.write(0x4000_0000), 0x402f);
        assert!(!msix.is_enabled());
    }
}
