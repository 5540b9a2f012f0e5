// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupt remapping table, indexed by physical vector.
//!
//! | bits  | entry                                            |
//! |-------|--------------------------------------------------|
//! | 0     | present                                          |
//! | 1     | proxied: the host takes the message and sends it on |
//! | 47:6  | address of the posted-interrupt descriptor       |
//! | 55:48 | vector to post                                   |
//! | 63:56 | number of the virtual CPU, for the figures only  |
//!
//! # Orderings
//! An entry is one word: `Table::set` stores it with `Release`, `Table::get` loads it with
//! `Acquire` in the interrupt handler, so a handler that sees an entry sees the descriptor as it was
//! initialized. Replacing an entry moves the next message at once; a message that was looked up
//! before goes where it was meant to go when it was sent.
//!
//! Spec: VT-D "Interrupt Remapping Table Entry for Posted Interrupts".

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

/// First physical vector of devices.
pub(crate) const FIRST_VECTOR: u8 = 0x30;

/// Last physical vector of devices.
pub(crate) const LAST_VECTOR: u8 = 0xef;

/// How a message gets into the TD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The IOMMU posts it: the vector is one of L1.
    Posted,
    /// The host gets it and asks L1 to pass it on: the vector is one of L2.
    Proxied,
}

/// Where a physical vector goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Address of the posted-interrupt descriptor, a multiple of 64.
    pub(crate) descriptor: u64,
    /// Vector to post.
    pub(crate) vector: u8,
    /// Number of the virtual CPU.
    pub(crate) cpu: u8,
    /// The way there.
    pub(crate) way: Way,
}

impl Entry {
    const PRESENT: u64 = 1;
    const PROXIED: u64 = 1 << 1;
    const DESCRIPTOR: u64 = 0x0000_ffff_ffff_ffc0;

    fn word(self) -> u64 {
        let way = if self.way == Way::Proxied { Self::PROXIED } else { 0 };
        Self::PRESENT
            | way
            | self.descriptor & Self::DESCRIPTOR
            | u64::from(self.vector) << 48
            | u64::from(self.cpu) << 56
    }

    fn from_word(word: u64) -> Option<Self> {
        let [.., vector, cpu] = word.to_le_bytes();
        let descriptor = word & Self::DESCRIPTOR;
        let way = if word & Self::PROXIED != 0 { Way::Proxied } else { Way::Posted };
        (word & Self::PRESENT != 0).then_some(Self { descriptor, vector, cpu, way })
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct Table([AtomicU64; 256]);

impl Table {
    /// A table without entries.
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 256])
    }

    /// Sets or replaces an entry.
    pub(crate) fn set(&self, physical: u8, entry: Entry) {
        self.0[usize::from(physical)].store(entry.word(), Release);
    }

    /// Looks a physical vector up.
    pub(crate) fn get(&self, physical: u8) -> Option<Entry> {
        Entry::from_word(self.0[usize::from(physical)].load(Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Table, Way};

    #[test]
    fn an_entry_is_found_as_it_was_set() {
        let table = Table::new();
        let entry = Entry { descriptor: 0x7fff_ffff_ffc0, vector: 0x45, cpu: 15, way: Way::Posted };
        table.set(0x30, entry);
        assert_eq!(table.get(0x30), Some(entry));
        assert_eq!(table.get(0x31), None);
        let moved = Entry { descriptor: 0x40, vector: 0, cpu: 0, way: Way::Proxied };
        table.set(0x30, moved);
        assert_eq!(table.get(0x30), Some(moved));
    }
}
