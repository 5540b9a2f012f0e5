// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of the message sources: which device, which interrupt entry.
//!
//! A source is known by the physical vector that the host gave it; the vector is never given to
//! another source during a run, so a number identifies a source for good.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// One interrupt entry of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// PCI vendor.
    pub(crate) vendor: u16,
    /// PCI device.
    pub(crate) device: u16,
    /// Device number in bits 7:3, function in bits 2:0; the bus is 0.
    pub(crate) devfn: u8,
    /// MSI-X entry, or 0 for MSI.
    pub(crate) entry: u16,
}

/// Prints the device number, as `00:02.0`.
#[derive(Debug)]
pub(crate) struct Bdf(pub(crate) u8);

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00:{:02x}.{}", self.0 >> 3, self.0 & 7)
    }
}

/// The sources, indexed by physical vector.
#[derive(Debug)]
pub(crate) struct Sources([AtomicU64; 256]);

impl Sources {
    const USED: u64 = 1 << 63;

    /// No source known.
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 256])
    }

    /// Names the source behind a physical vector.
    pub(crate) fn name(&self, vector: u8, source: Source) {
        let word = Self::USED
            | u64::from(source.vendor)
            | u64::from(source.device) << 16
            | u64::from(source.devfn) << 32
            | u64::from(source.entry & 0x7fff) << 40;
        self.0[usize::from(vector)].store(word, Relaxed);
    }

    /// The source behind a physical vector.
    pub(crate) fn get(&self, vector: u8) -> Option<Source> {
        let word = self.0[usize::from(vector)].load(Relaxed);
        let bytes = word.to_le_bytes();
        (word & Self::USED != 0).then_some(Source {
            vendor: u16::from_le_bytes([bytes[0], bytes[1]]),
            device: u16::from_le_bytes([bytes[2], bytes[3]]),
            devfn: bytes[4],
            entry: u16::from_le_bytes([bytes[5], bytes[6]]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bdf, Source, Sources};

    #[test]
    fn a_source_is_named_by_its_vector() {
        let sources = Sources::new();
        let edu = Source { vendor: 0x1234, device: 0x11e8, devfn: 0x10, entry: 47 };
        sources.name(0x30, edu);
        assert_eq!(sources.get(0x30), Some(edu));
        assert_eq!(sources.get(0x31), None);
        assert_eq!(Bdf(edu.devfn).to_string(), "00:02.0");
    }
}
