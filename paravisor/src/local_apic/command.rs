// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupt command register: what kind of interrupt for which CPUs.
//!
//! Spec: SDM "Interrupt Command Register (ICR)", "ICR Operation in x2APIC Mode".

use proxy_irq::L2Vector;

/// An interrupt and its receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// What they get.
    pub kind: Kind,
    /// Who.
    pub receivers: Receivers,
}

/// What a CPU gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An interrupt.
    Fixed(L2Vector),
    /// A non-maskable interrupt.
    Nmi,
    /// Back to waiting for a start.
    Init,
    /// Start in real mode at this page.
    StartUp(u8),
}

/// Which CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receivers {
    /// The sender.
    Own,
    /// All.
    All,
    /// All but the sender.
    Others,
    /// By APIC id.
    Physical(u32),
    /// By cluster and bits within it.
    Logical(u32),
}

const LEVEL: u64 = 1 << 15;
const ASSERT: u64 = 1 << 14;
const LOGICAL: u64 = 1 << 11;
const BROADCAST: u32 = u32::MAX;

impl Command {
    /// Takes the register apart. `None` if it asks for nothing that exists: SMI, an external
    /// interrupt, a vector below 16, the de-assertion of INIT, and anything but an interrupt for a
    /// shorthand that includes the sender.
    #[must_use]
    pub fn parse(value: u64) -> Option<Self> {
        let [number, ..] = value.to_le_bytes();
        let kind = match value >> 8 & 7 {
            0 | 1 => Kind::Fixed(L2Vector::new(number)?),
            4 => Kind::Nmi,
            5 if value & LEVEL != 0 && value & ASSERT == 0 => return None,
            5 => Kind::Init,
            6 => Kind::StartUp(number),
            _ => return None,
        };
        let to_itself_too = matches!(value >> 18 & 3, 1 | 2);
        if to_itself_too && !matches!(kind, Kind::Fixed(_)) {
            return None;
        }
        let destination = crate::width::high32(value);
        let receivers = match value >> 18 & 3 {
            1 => Receivers::Own,
            2 => Receivers::All,
            3 => Receivers::Others,
            _ if destination == BROADCAST => Receivers::All,
            _ if value & LOGICAL != 0 => Receivers::Logical(destination),
            _ => Receivers::Physical(destination),
        };
        Some(Self { kind, receivers })
    }
}

impl Receivers {
    /// Whether CPU `cpu` is one of them, when CPU `sender` sends.
    #[must_use]
    pub const fn include(self, cpu: u32, sender: u32) -> bool {
        match self {
            Self::Own => cpu == sender,
            Self::All => true,
            Self::Others => cpu != sender,
            Self::Physical(id) => cpu == id,
            Self::Logical(id) => id >> 16 == cpu >> 4 && id & 1 << (cpu & 0xf) != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Kind, Receivers};
    use proxy_irq::L2Vector;

    fn receivers(value: u64) -> alloc::vec::Vec<u32> {
        let command = Command::parse(value).unwrap();
        (0..20).filter(|cpu| command.receivers.include(*cpu, 1)).collect()
    }

    #[test]
    fn receivers_are_those_of_the_manual() {
        assert_eq!(receivers(2 << 32 | 0x51), [2]);
        assert_eq!(receivers(1 << 18 | 0x51), [1]);
        assert_eq!(receivers(2 << 18 | 0x51).len(), 20);
        assert_eq!(receivers(3 << 18 | 0x51).len(), 19);
        assert_eq!(receivers(0xffff_ffff_0000_0051).len(), 20);
        assert_eq!(receivers(0x0001_0005 << 32 | 1 << 11 | 0x51), [16, 18]);
    }

    #[test]
    fn kinds_are_those_of_the_manual() {
        let kind = |value| Command::parse(value).map(|command| command.kind);
        assert_eq!(kind(0x0051), L2Vector::new(0x51).map(Kind::Fixed));
        assert_eq!(kind(0x0400), Some(Kind::Nmi));
        assert_eq!(kind(0x4500), Some(Kind::Init));
        assert_eq!(kind(0x8500), None, "de-assertion");
        assert_eq!(kind(0x4608), Some(Kind::StartUp(8)));
        assert_eq!(kind(0x0200), None, "SMI");
        assert_eq!(kind(0x0005), None, "no vector");
        for shorthand in [1 << 18, 2 << 18] {
            assert_eq!(kind(shorthand | 0x4500), None, "INIT to the sender");
            assert_eq!(kind(shorthand | 0x4608), None, "start-up of the sender");
            assert_eq!(kind(shorthand | 0x0400), None, "NMI to the sender");
        }
        assert_eq!(Command::parse(0x0500).unwrap().receivers, Receivers::Physical(0));
    }
}
