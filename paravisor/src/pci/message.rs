// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages as L2 writes them: which vector, which CPU, or nonsense.
//!
//! L2 may write anything. What no processor would take as a fixed, edge-triggered interrupt of one
//! CPU is refused here, so that the relay only ever maps what has a meaning.
//!
//! Spec: SDM "Message Signalled Interrupts".

use core::fmt;
use proxy_irq::L2Vector;

/// An address and data pair, as L2 wrote it or as the device gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Where the device writes.
    pub address: u64,
    /// What it writes.
    pub data: u32,
}

/// One vector of one virtual CPU of L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The vector.
    pub vector: L2Vector,
    /// The CPU, which is its APIC id.
    pub cpu: u32,
}

/// Why a message means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonsense {
    /// Not an address of the interrupt range.
    Address,
    /// Neither fixed nor lowest-priority delivery, or level-triggered.
    Delivery,
    /// A vector below 16.
    Vector,
    /// No such CPU.
    Destination,
}

const ADDRESS_BASE: u64 = 0xfee0_0000;
const ADDRESS_RANGE: u64 = !0x000f_ffff;
const LOGICAL: u64 = 1 << 2;
const DELIVERY_MODE: u32 = 7 << 8;
const LOWEST_PRIORITY: u32 = 1 << 8;
const LEVEL: u32 = 1 << 15;

impl Message {
    /// The message that makes a device interrupt L1: a fixed, edge-triggered `vector` of `cpu`.
    #[must_use]
    pub const fn to_l1(cpu: u8, vector: u8) -> Self {
        Self { address: ADDRESS_BASE | (cpu as u64) << 12, data: vector as u32 }
    }

    /// The message by which a device says no more than which of its interrupts it is. To a host that is not told
    /// where that leads, it is one for CPU 0 that nobody has configured.
    #[must_use]
    pub const fn name(entry: u16) -> Self {
        let (high, low) = (entry >> 7, entry & 0x7f);
        Self { address: ADDRESS_BASE | (high as u64 & 0xf) << 8, data: 0x80 | low as u32 }
    }

    /// What the message means to an L2 of `cpus` CPUs.
    ///
    /// # Errors
    /// Which part of it means nothing.
    pub fn target(self, cpus: u32) -> Result<Target, Nonsense> {
        if self.address & ADDRESS_RANGE != ADDRESS_BASE {
            return Err(Nonsense::Address);
        }
        if self.data & LEVEL != 0 || self.data & DELIVERY_MODE & !LOWEST_PRIORITY != 0 {
            return Err(Nonsense::Delivery);
        }
        let [number, ..] = self.data.to_le_bytes();
        let vector = L2Vector::new(number).ok_or(Nonsense::Vector)?;
        let cpu = self.destination();
        if cpu < cpus { Ok(Target { vector, cpu }) } else { Err(Nonsense::Destination) }
    }

    /// The destination's CPU. Of a logical destination, whose bits are CPUs of x2APIC cluster 0, the
    /// lowest one is taken: a message goes to one CPU here.
    const fn destination(self) -> u32 {
        let field = (self.address >> 12 & 0xff) as u32;
        if self.address & LOGICAL == 0 { field } else { field.trailing_zeros() }
    }
}

impl fmt::Display for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Delivery => "delivery",
            Self::Vector => "vector",
            Self::Destination => "destination",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, Nonsense};

    fn target(address: u64, data: u32) -> Result<(u8, u32), Nonsense> {
        Message { address, data }.target(4).map(|target| (target.vector.get(), target.cpu))
    }

    #[test]
    fn a_message_names_a_vector_and_a_cpu() {
        assert_eq!(target(0xfee0_3000, 0x51), Ok((0x51, 3)));
        assert_eq!(target(0xfee0_0008, 0x0151), Ok((0x51, 0)), "lowest priority, hint");
        assert_eq!(target(0xfee0_6004, 0x51), Ok((0x51, 1)), "logical, CPUs 1 and 2");
        assert_eq!(target(0xfee0_0000, 0x4051), Ok((0x51, 0)), "assert without level");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert_eq!(target(0, 0x51), Err(Nonsense::Address));
        assert_eq!(target(0x1_fee0_0000, 0x51), Err(Nonsense::Address));
        assert_eq!(target(0xfef0_0000, 0x51), Err(Nonsense::Address));
        assert_eq!(target(0xfee0_0000, 0x0451), Err(Nonsense::Delivery), "NMI");
        assert_eq!(target(0xfee0_0000, 0xc051), Err(Nonsense::Delivery), "level");
        assert_eq!(target(0xfee0_0000, 0x0f), Err(Nonsense::Vector));
        assert_eq!(target(0xfee0_4000, 0x51), Err(Nonsense::Destination));
        assert_eq!(target(0xfeef_f000, 0x51), Err(Nonsense::Destination));
        assert_eq!(target(0xfee0_0004, 0x51), Err(Nonsense::Destination), "no CPU");
    }

    #[test]
    fn each_entry_of_the_longest_table_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            (0..2048).map(Message::name).map(|name| (name.address, name.data)).collect();
        assert_eq!(names.len(), 2048);
        assert!(names.iter().all(|(address, data)| address >> 12 == 0xfee00 && *data < 0x100));
    }

    #[test]
    fn what_the_device_gets_is_a_message_too() {
        let message = Message::to_l1(3, 0x47);
        assert_eq!((message.address, message.data), (0xfee0_3000, 0x47));
    }
}
