// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared EPT: what the host maps into the TD's shared address space.
//!
//! Four levels in the format of AMD nested page tables, indexed by the guest-physical address
//! without its shared bit. An entry of 0 is not present and makes an access of L1 a #VE (MMIO).
//! Shared memory is never executable.
//!
//! The processor walks these tables while other CPUs change them, so each entry is one word that is
//! written once its target is complete. Whoever removes an entry must flush every CPU before the
//! page is used for something else.
//!
//! Spec: APM "Nested Paging"; TDX-BASE "Shared EPT".

/// Present, writable, user: the processor wants the last one in nested tables.
const TABLE: u64 = 0b111;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Where tables live.
pub(crate) trait Tables {
    /// Takes a zeroed page for a table.
    fn allocate(&mut self) -> Option<u64>;

    /// Reads the entry at a physical address.
    fn read(&self, entry: u64) -> u64;

    /// Writes the entry at a physical address.
    fn write(&mut self, entry: u64, value: u64);
}

/// The shared EPT of a TD.
#[derive(Debug)]
pub(crate) struct SharedEpt<T> {
    tables: T,
    root: u64,
}

impl<T: Tables> SharedEpt<T> {
    /// An empty address space; `None` without memory.
    pub(crate) fn new(mut tables: T) -> Option<Self> {
        let root = tables.allocate()?;
        Some(Self { tables, root })
    }

    /// Physical address of the topmost table.
    pub(crate) fn root(&self) -> u64 {
        self.root
    }

    /// Maps a page; `None` without memory.
    pub(crate) fn map(&mut self, gpa: u64, hpa: u64) -> Option<()> {
        let entry = self.entry(gpa)?;
        self.tables.write(entry, hpa & ADDRESS | TABLE | NO_EXECUTE);
        Some(())
    }

    /// Removes the mapping of a page and returns what it was.
    pub(crate) fn unmap(&mut self, gpa: u64) -> Option<u64> {
        let (entry, value) = self.leaf(gpa)?;
        self.tables.write(entry, 0);
        Some(value & ADDRESS)
    }

    /// The physical address behind a guest-physical one.
    pub(crate) fn translate(&self, gpa: u64) -> Option<u64> {
        let (_, value) = self.leaf(gpa)?;
        Some(value & ADDRESS | gpa & 0xfff)
    }

    /// Where the entry of a page lies, with the tables above it made.
    fn entry(&mut self, gpa: u64) -> Option<u64> {
        let mut table = self.root;
        for level in [3, 2, 1] {
            let entry = slot(table, gpa, level);
            let mut value = self.tables.read(entry);
            if value == 0 {
                value = self.tables.allocate()? | TABLE;
                self.tables.write(entry, value);
            }
            table = value & ADDRESS;
        }
        Some(slot(table, gpa, 0))
    }

    /// The entry that maps an address, and where it lies.
    fn leaf(&self, gpa: u64) -> Option<(u64, u64)> {
        let mut table = self.root;
        for level in [3, 2, 1] {
            let value = self.tables.read(slot(table, gpa, level));
            if value == 0 {
                return None;
            }
            table = value & ADDRESS;
        }
        let entry = slot(table, gpa, 0);
        let value = self.tables.read(entry);
        (value != 0).then_some((entry, value))
    }
}

fn slot(table: u64, gpa: u64, level: u32) -> u64 {
    table + (gpa >> (12 + 9 * level) & 0x1ff) * 8
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{SharedEpt, Tables};

    #[derive(Default)]
    struct Fake {
        entries: HashMap<u64, u64>,
        allocated: u64,
    }

    impl Tables for Fake {
        fn allocate(&mut self) -> Option<u64> {
            self.allocated += 1;
            (self.allocated < 9).then_some(self.allocated << 12)
        }

        fn read(&self, entry: u64) -> u64 {
            self.entries.get(&entry).copied().unwrap_or(0)
        }

        fn write(&mut self, entry: u64, value: u64) {
            self.entries.insert(entry, value);
        }
    }

    #[test]
    fn what_is_mapped_is_found_until_it_is_unmapped() {
        let mut ept = SharedEpt::new(Fake::default()).unwrap();
        ept.map(0x1234_5000, 0x9000_1000).unwrap();
        assert_eq!(ept.translate(0x1234_5678), Some(0x9000_1678));
        assert_eq!(ept.translate(0x1234_6000), None);
        assert_eq!(ept.unmap(0x1234_5000), Some(0x9000_1000));
        assert_eq!(ept.translate(0x1234_5678), None);
    }

    #[test]
    fn entries_have_the_processor_s_format() {
        let mut ept = SharedEpt::new(Fake::default()).unwrap();
        ept.map(0x1000, 0x9000_1000).unwrap();
        let leaf = ept.leaf(0x1000).unwrap().1;
        assert_eq!(leaf, 1 << 63 | 0x9000_1000 | 7);
        assert_eq!(ept.tables.read(ept.root()), 0x2007);
    }

    #[test]
    fn no_memory_is_no_mapping() {
        let mut ept = SharedEpt::new(Fake { allocated: 6, ..Fake::default() }).unwrap();
        assert_eq!(ept.map(0, 0x1000), None);
    }
}
