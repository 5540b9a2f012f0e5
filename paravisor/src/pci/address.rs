// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bus, device, function; and the address port 0xcf8.
//!
//! Spec: PCI "Configuration Mechanism #1".

use core::fmt;

/// A function's address: bus 15:8, device 7:3, function 2:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bdf(pub u16);

impl Bdf {
    /// Reads what [`Display`](fmt::Display) writes. `None` if it is no function's address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (bus, rest) = text.split_once(':')?;
        let (device, function) = rest.split_once('.')?;
        let number =
            |digits, most| u16::from_str_radix(digits, 16).ok().filter(|number| *number <= most);
        let (bus, device, function) =
            (number(bus, 0xff)?, number(device, 0x1f)?, number(function, 7)?);
        Some(Self(bus << 8 | device << 3 | function))
    }
}

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.0 >> 8, self.0 >> 3 & 0x1f, self.0 & 7)
    }
}

/// The address port's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressPort(pub u32);

impl AddressPort {
    /// The port itself.
    pub const PORT: u16 = 0xcf8;
    /// The first of the four data ports.
    pub const DATA: u16 = 0xcfc;

    const ENABLE: u32 = 1 << 31;

    /// The content that selects a register, which is rounded down to a dword.
    #[must_use]
    pub const fn of(bdf: Bdf, register: u8) -> Self {
        Self(Self::ENABLE | (bdf.0 as u32) << 8 | register as u32 & 0xfc)
    }

    /// The function and dword that are selected, if any is.
    #[must_use]
    pub const fn selected(self) -> Option<(Bdf, u8)> {
        if self.0 & Self::ENABLE == 0 {
            return None;
        }
        let bdf = Bdf((self.0 >> 8 & 0xffff) as u16);
        Some((bdf, (self.0 & 0xfc) as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressPort, Bdf};
    use alloc::string::ToString;

    #[test]
    fn a_function_prints_as_every_tool_prints_it() {
        assert_eq!(Bdf(0x0010).to_string(), "00:02.0");
        assert_eq!(Bdf(0xffff).to_string(), "ff:1f.7");
        assert_eq!(Bdf::parse("ff:1f.7"), Some(Bdf(0xffff)));
        for text in ["00:20.0", "00:02.8", "100:00.0", "00:02", "02.0", ""] {
            assert_eq!(Bdf::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_address_port_names_a_dword() {
        let port = AddressPort::of(Bdf(0x0010), 0x43);
        assert_eq!(port.0, 0x8000_1040);
        assert_eq!(port.selected(), Some((Bdf(0x0010), 0x40)));
        assert_eq!(AddressPort(0x0000_1040).selected(), None);
    }
}
