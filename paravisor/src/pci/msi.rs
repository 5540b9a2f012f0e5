// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MSI capability: what L2 wrote, and where the device's own registers are.
//!
//! A function may have a 32- or 64-bit address, and mask bits or none. Only one message is offered:
//! several would have to be consecutive reserved vectors, and no driver insists on them.
//!
//! Spec: PCI "Message Control for MSI".

use super::message::Message;
use crate::width::low32;

/// L2's view of one MSI capability.
#[derive(Clone, Copy, Debug)]
pub struct Msi {
    /// Register of the capability's first byte.
    pub offset: u8,
    control: u16,
    address: u64,
    data: u16,
    mask: u32,
    refused: bool,
}

const CONTROL_ENABLE: u16 = 1 << 0;
const CONTROL_WIDE: u16 = 1 << 7;
const CONTROL_MASKABLE: u16 = 1 << 8;

/// The registers behind the header, by what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Header,
    AddressLow,
    AddressHigh,
    Data,
    Mask,
    Pending,
}

impl Msi {
    /// The capability at `offset`, whose control word the host says is `control`.
    #[must_use]
    pub const fn new(offset: u8, control: u16) -> Self {
        let fixed = control & (CONTROL_WIDE | CONTROL_MASKABLE);
        Self { offset, control: fixed, address: 0, data: 0, mask: 0, refused: false }
    }

    /// Whether the dword at `register` belongs to the capability.
    #[must_use]
    pub fn covers(&self, register: u8) -> bool {
        self.field(register).is_some()
    }

    /// L2's view of the dword at `register`; `device` is what the host returned for it.
    #[must_use]
    pub fn read(&self, register: u8, device: u32) -> u32 {
        match self.field(register) {
            Some(Field::Header) => device & 0xffff | u32::from(self.visible_control()) << 16,
            Some(Field::AddressLow) => low32(self.address),
            Some(Field::AddressHigh) => low32(self.address >> 32),
            Some(Field::Data) => u32::from(self.data),
            Some(Field::Mask) => self.mask,
            Some(Field::Pending) | None => device,
        }
    }

    /// L2 writes the dword at `register`, the bytes it did not write having kept their value.
    pub fn write(&mut self, register: u8, value: u32) {
        self.refused = false;
        let high = u64::from(value) << 32;
        match self.field(register) {
            Some(Field::Header) => {
                let enable = if value >> 16 & u32::from(CONTROL_ENABLE) != 0 { 1 } else { 0 };
                self.control = self.control & !CONTROL_ENABLE | enable;
            }
            Some(Field::AddressLow) => {
                self.address = self.address & !0xffff_ffff | u64::from(value & !3);
            }
            Some(Field::AddressHigh) => self.address = self.address & 0xffff_ffff | high,
            Some(Field::Data) => self.data = (value & 0xffff) as u16,
            Some(Field::Mask) => self.mask = value & 1,
            Some(Field::Pending) | None => {}
        }
    }

    /// The message L2 wants sent, or `None` while it has switched the function off or masked it.
    #[must_use]
    pub fn wanted(&self) -> Option<Message> {
        let on = self.control & CONTROL_ENABLE != 0 && self.mask == 0;
        on.then_some(Message { address: self.address, data: u32::from(self.data) })
    }

    /// Notes that L2's message was refused: L2 reads that the function is off. What it wants stays
    /// known, because it may be half way through writing a message that makes sense.
    pub const fn refuse(&mut self) {
        self.refused = true;
    }

    const fn visible_control(&self) -> u16 {
        if self.refused { self.control & !CONTROL_ENABLE } else { self.control }
    }

    /// Register of the control word.
    #[must_use]
    pub const fn control_register(&self) -> u8 {
        self.offset + 2
    }

    /// Control word for the device: one message, on or off.
    #[must_use]
    pub const fn device_control(&self, on: Power) -> u16 {
        let fixed = self.control & (CONTROL_WIDE | CONTROL_MASKABLE);
        match on {
            Power::On => fixed | CONTROL_ENABLE,
            Power::Off => fixed,
        }
    }

    /// Registers of the address, of its upper half if it has one, and of the data.
    #[must_use]
    pub const fn message_registers(&self) -> (u8, Option<u8>, u8) {
        if self.is_wide() {
            (self.offset + 4, Some(self.offset + 8), self.offset + 12)
        } else {
            (self.offset + 4, None, self.offset + 8)
        }
    }

    /// Register of the mask bits, if there are any.
    #[must_use]
    pub const fn mask_register(&self) -> Option<u8> {
        match (self.control & CONTROL_MASKABLE != 0, self.is_wide()) {
            (false, _) => None,
            (true, false) => Some(self.offset + 12),
            (true, true) => Some(self.offset + 16),
        }
    }

    const fn is_wide(&self) -> bool {
        self.control & CONTROL_WIDE != 0
    }

    fn field(&self, register: u8) -> Option<Field> {
        let fields: &[Field] = match (self.is_wide(), self.control & CONTROL_MASKABLE != 0) {
            (false, false) => &[Field::Header, Field::AddressLow, Field::Data],
            (true, false) => &[Field::Header, Field::AddressLow, Field::AddressHigh, Field::Data],
            (false, true) => {
                &[Field::Header, Field::AddressLow, Field::Data, Field::Mask, Field::Pending]
            }
            (true, true) => &[
                Field::Header,
                Field::AddressLow,
                Field::AddressHigh,
                Field::Data,
                Field::Mask,
                Field::Pending,
            ],
        };
        let dword = register.checked_sub(self.offset)? / 4;
        fields.get(usize::from(dword)).copied()
    }
}

/// Whether a device may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It may.
    On,
    /// It may not.
    Off,
}

#[cfg(test)]
mod tests {
    use super::{Msi, Power};
    use crate::pci::message::Message;

    #[test]
    fn a_narrow_capability_is_three_dwords() {
        let mut msi = Msi::new(0x40, 0x0000);
        msi.write(0x44, 0xfee0_1000);
        msi.write(0x48, 0x0051);
        assert_eq!(msi.wanted(), None, "not enabled");
        msi.write(0x40, 0x0001_0000);
        assert_eq!(msi.wanted(), Some(Message { address: 0xfee0_1000, data: 0x51 }));
        assert!(!msi.covers(0x4c) && !msi.covers(0x3c));
        assert_eq!(msi.message_registers(), (0x44, None, 0x48));
    }

    #[test]
    fn a_wide_capability_with_mask_bits_is_six() {
        let mut msi = Msi::new(0x50, 0x0180);
        msi.write(0x54, 0xfee0_0000);
        msi.write(0x58, 1);
        msi.write(0x5c, 0x61);
        msi.write(0x50, 0x0001_0000);
        assert_eq!(msi.wanted(), Some(Message { address: 0x1_fee0_0000, data: 0x61 }));
        msi.write(0x60, 1);
        assert_eq!(msi.wanted(), None, "masked");
        assert_eq!(msi.read(0x60, 0), 1);
        assert_eq!(msi.read(0x64, 1), 1, "pending bits are the device's");
        assert!(!msi.covers(0x68));
    }

    #[test]
    fn l2_reads_what_it_wrote_and_is_offered_one_message() {
        let mut msi = Msi::new(0x40, 0x008e);
        msi.write(0x40, 0x00ff_0000);
        assert_eq!(msi.read(0x40, 0x008e_0005), 0x0081_0005);
        assert_eq!(msi.device_control(Power::Off), 0x0080);
        msi.write(0x44, 0xfee0_0003);
        assert_eq!(msi.read(0x44, 0xdead_beef), 0xfee0_0000);
    }

    #[test]
    fn a_refused_message_reads_as_switched_off() {
        let mut msi = Msi::new(0x40, 0);
        msi.write(0x40, 0x0001_0000);
        msi.refuse();
        assert_eq!(msi.read(0x40, 5), 5);
        assert!(msi.wanted().is_some(), "it may still become a message");
    }
}
