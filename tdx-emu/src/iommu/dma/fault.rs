// SPDX-License-Identifier: MIT OR Apache-2.0
//! One recorded fault: a request of a device that was refused.
//!
//! Spec: VT-D "Fault Recording Registers", "Fault Reason Encodings".

use core::fmt;

/// A request that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Bus, device and function that made it.
    pub(crate) source: SourceId,
    /// The page that it asked for.
    pub(crate) address: u64,
    /// Why it was refused.
    pub(crate) reason: u8,
    /// Whether it would have written.
    pub(crate) write: bool,
}

/// Bus in bits 15:8, device in bits 7:3, function in bits 2:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(pub(crate) u16);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [devfn, bus] = self.0.to_le_bytes();
        write!(f, "{bus:02x}:{:02x}.{}", devfn >> 3, devfn & 7)
    }
}

impl Fault {
    /// The bit of the upper half that says that the register holds a fault; writing it empties the
    /// register.
    pub(super) const FULL: u64 = 1 << 63;

    /// Reads the two halves of a fault recording register; `None` if it holds none.
    pub(super) fn read(low: u64, high: u64) -> Option<Self> {
        const READ: u64 = 1 << 62;
        let [source_low, source_high, _, _, reason, ..] = high.to_le_bytes();
        (high & Self::FULL != 0).then_some(Self {
            source: SourceId(u16::from_le_bytes([source_low, source_high])),
            address: low & !0xfff,
            reason,
            write: high & READ == 0,
        })
    }

    /// The reason in words.
    pub(crate) fn explanation(&self) -> &'static str {
        match self.reason {
            1 | 2 => "the device is in no domain",
            4 => "the address is beyond the tables",
            5 => "not mapped for writing",
            6 => "not mapped for reading",
            _ => "see the specification",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, SourceId};

    #[test]
    fn a_record_tells_who_wanted_what() {
        let fault = Fault::read(0x1234_5000, 1 << 63 | 5 << 32 | 0x18).unwrap();
        assert_eq!((fault.source, fault.address), (SourceId(0x18), 0x1234_5000));
        assert_eq!((fault.reason, fault.write), (5, true));
        assert_eq!(fault.source.to_string(), "00:03.0");
        let read = Fault::read(0, 3 << 62 | 6 << 32 | 0x01fa).unwrap();
        assert!(!read.write);
        assert_eq!(read.source.to_string(), "01:1f.2");
    }

    #[test]
    fn an_empty_register_is_no_fault() {
        assert_eq!(Fault::read(u64::MAX, !(1 << 63)), None);
    }
}
