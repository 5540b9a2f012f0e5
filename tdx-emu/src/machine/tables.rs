// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables that hardware walks: the processor's nested ones, or an IOMMU's.
//!
//! A tree maps pages of 4 KiB; an entry of 0 is not present. The hardware walks it while it changes:
//! each entry is one word, written once its target is complete. Tables are never given back, so that
//! a walk cannot meet one that became something else. Whoever removes a mapping must make every
//! walker forget it before the page is used for something else.
#![cfg_attr(target_os = "none", expect(unsafe_code, reason = "tables are named by address"))]

#[cfg(target_os = "none")]
use super::memory;

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PAGE: u64 = 4096;
const ENTRIES: u64 = 512;

/// Where tables live.
pub(crate) trait Tables {
    /// Takes a zeroed page for a table.
    fn allocate(&mut self) -> Option<u64>;

    /// Reads the entry at a physical address.
    fn read(&self, entry: u64) -> u64;

    /// Writes the entry at a physical address.
    fn write(&mut self, entry: u64, value: u64);
}

/// What entries look like beside the address in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Levels of tables.
    pub(crate) levels: u8,
    /// Bits of an entry that names a table.
    pub(crate) table: u64,
    /// Bits of an entry that names a page.
    pub(crate) page: u64,
}

/// An address space.
#[derive(Debug)]
pub(crate) struct Tree<T> {
    tables: T,
    root: u64,
    format: Format,
}

impl<T: Tables> Tree<T> {
    /// An empty address space; `None` without memory.
    pub(crate) fn new(mut tables: T, format: Format) -> Option<Self> {
        let root = tables.allocate()?;
        Some(Self { tables, root, format })
    }

    /// Physical address of the topmost table.
    pub(crate) fn root(&self) -> u64 {
        self.root
    }

    /// Maps `pages` from the address `first` on, over whatever was there; `None` without memory.
    pub(crate) fn map(&mut self, first: u64, pages: &[u64]) -> Option<()> {
        let (mut address, mut rest) = (first, pages);
        while !rest.is_empty() {
            let (here, next) = rest.split_at(in_one_table(address, rest.len()));
            let table = self.table(address)?;
            for (entry, page) in (slot(table, address, 0)..).step_by(8).zip(here) {
                self.tables.write(entry, page & ADDRESS | self.format.page);
            }
            address += here.len() as u64 * PAGE;
            rest = next;
        }
        Some(())
    }

    /// Removes the mappings of `count` pages from the address `first` on, and hands over what was
    /// mapped.
    pub(crate) fn unmap(&mut self, first: u64, count: usize, mut was: impl FnMut(u64)) {
        let (mut address, mut rest) = (first, count);
        while rest != 0 {
            let here = in_one_table(address, rest);
            if let Some(table) = self.find(address) {
                for entry in (slot(table, address, 0)..).step_by(8).take(here) {
                    let value = self.tables.read(entry);
                    if value != 0 {
                        self.tables.write(entry, 0);
                        was(value & ADDRESS);
                    }
                }
            }
            address += here as u64 * PAGE;
            rest -= here;
        }
    }

    /// The physical address behind another one.
    pub(crate) fn translate(&self, address: u64) -> Option<u64> {
        let value = self.tables.read(slot(self.find(address)?, address, 0));
        (value != 0).then_some((value & ADDRESS) + address % PAGE)
    }

    /// The lowest table for an address, with those above it made.
    fn table(&mut self, address: u64) -> Option<u64> {
        let mut table = self.root;
        for level in (1..self.format.levels).rev() {
            let entry = slot(table, address, level);
            let mut value = self.tables.read(entry);
            if value == 0 {
                value = self.tables.allocate()? | self.format.table;
                self.tables.write(entry, value);
            }
            table = value & ADDRESS;
        }
        Some(table)
    }

    /// The lowest table for an address, if there is one.
    fn find(&self, address: u64) -> Option<u64> {
        (1..self.format.levels).rev().try_fold(self.root, |table, level| {
            let value = self.tables.read(slot(table, address, level));
            (value != 0).then_some(value & ADDRESS)
        })
    }
}

/// How many of `count` pages from `address` on share its lowest table.
fn in_one_table(address: u64, count: usize) -> usize {
    let left = ENTRIES - address / PAGE % ENTRIES;
    usize::try_from(left).map_or(count, |left| left.min(count))
}

fn slot(table: u64, address: u64, level: u8) -> u64 {
    table + (address >> (12 + 9 * u32::from(level)) & (ENTRIES - 1)) * 8
}

/// The machine's own pages, which are never given back.
#[cfg(target_os = "none")]
#[derive(Debug)]
pub(crate) struct Frames;

#[cfg(target_os = "none")]
impl Tables for Frames {
    fn allocate(&mut self) -> Option<u64> {
        memory::alloc_page()
    }

    fn read(&self, entry: u64) -> u64 {
        // SAFETY: whoever builds tables names entries of tables that were allocated here; they stay
        // tables for the whole run, and hardware that walks them changes no entry.
        unsafe { memory::at::<u64>(entry).read_volatile() }
    }

    fn write(&mut self, entry: u64, value: u64) {
        // SAFETY: as for `read`; whoever builds a tree of tables holds it exclusively.
        unsafe { memory::at::<u64>(entry).write_volatile(value) };
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;

    use super::{Format, Tables, Tree};

    /// Tables in a map, as many as `limit` says.
    #[derive(Debug, Default)]
    pub(crate) struct Fake {
        entries: HashMap<u64, u64>,
        allocated: u64,
        limit: u64,
    }

    impl Tables for Fake {
        fn allocate(&mut self) -> Option<u64> {
            self.allocated += 1;
            (self.allocated <= self.limit).then_some(self.allocated << 12)
        }

        fn read(&self, entry: u64) -> u64 {
            self.entries.get(&entry).copied().unwrap_or(0)
        }

        fn write(&mut self, entry: u64, value: u64) {
            self.entries.insert(entry, value);
        }
    }

    /// Room for `limit` tables.
    pub(crate) fn tables(limit: u64) -> Fake {
        Fake { limit, ..Fake::default() }
    }

    /// A tree that may have `limit` tables.
    pub(crate) fn tree(format: Format, limit: u64) -> Tree<Fake> {
        Tree::new(tables(limit), format).unwrap()
    }

    /// The entries that hardware meets on its way, topmost first.
    pub(crate) fn walk(tree: &Tree<Fake>, address: u64) -> Vec<u64> {
        let mut table = tree.root();
        let mut entries = Vec::new();
        for level in (0..u32::from(tree.format.levels)).rev() {
            let entry = tree.tables.read(table + (address >> (12 + 9 * level) & 511) * 8);
            entries.push(entry);
            if entry == 0 {
                break;
            }
            table = entry & 0xf_ffff_f000;
        }
        entries
    }

    fn format(levels: u8) -> Format {
        Format { levels, table: 0b11, page: 0b111 }
    }

    fn reached(tree: &Tree<Fake>, address: u64) -> Option<u64> {
        let entry = walk(tree, address).pop().filter(|entry| *entry != 0)?;
        assert_eq!(entry & 0xfff, 0b111);
        assert_eq!(tree.translate(address + 0x123), Some((entry & !0xfff) + 0x123));
        Some(entry & !0xfff)
    }

    #[test]
    fn what_is_mapped_is_reached_until_it_is_unmapped() {
        for levels in [3, 4] {
            let mut tree = tree(format(levels), 9);
            let pages: Vec<_> = (0..600).map(|page| 0x10_0000 + page * 0x2000).collect();
            tree.map(0x1f_f000, &pages).unwrap();
            assert_eq!(reached(&tree, 0x1f_f000), Some(0x10_0000));
            assert_eq!(reached(&tree, 0x1f_f000 + 599 * 0x1000), Some(0x10_0000 + 599 * 0x2000));
            assert_eq!(reached(&tree, 0x1f_e000), None);
            assert_eq!(reached(&tree, 0x1f_f000 + 600 * 0x1000), None);
            let mut taken = Vec::new();
            tree.unmap(0x20_0000, 512, |page| taken.push(page));
            assert_eq!(taken, pages[1..513]);
            assert_eq!(reached(&tree, 0x1f_f000), Some(0x10_0000));
            assert_eq!(reached(&tree, 0x20_0000), None);
            assert_eq!(reached(&tree, 0x3f_f000), None);
            assert_eq!(reached(&tree, 0x40_0000), Some(0x10_0000 + 513 * 0x2000));
        }
    }

    #[test]
    fn unmapping_what_was_never_mapped_changes_nothing() {
        let mut tree = tree(format(3), 3);
        tree.map(0, &[0x5000]).unwrap();
        tree.unmap(0x4000_0000, 2048, |page| panic!("{page:#x} was mapped"));
        assert_eq!(reached(&tree, 0), Some(0x5000));
        assert_eq!(tree.tables.allocated, 3);
        assert_eq!(tree.translate(0x4000_0000), None);
    }

    #[test]
    fn no_memory_is_no_mapping() {
        assert_eq!(tree(format(4), 3).map(0, &[0x5000]), None);
    }
}
