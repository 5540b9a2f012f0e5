// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nested page-table entries.
//!
//! The nested table of a virtual machine *is* its secure EPT: the bits that the processor ignores
//! hold the state that the TDX module keeps (`module::sept`). Levels are counted as the module
//! counts them: 0 is a 4 KiB page, 1 is 2 MiB, 2 is 1 GiB, 3 is the root of a four-level table.
//!
//! Spec: APM "Nested Paging".

use super::physical::{self, Hpa};

/// Present. SVM has no read bit: what is present can be read.
pub(crate) const PRESENT: u64 = 1 << 0;
/// Writable.
pub(crate) const WRITE: u64 = 1 << 1;
/// User: nested walks are user accesses, so every entry needs it.
pub(crate) const USER: u64 = 1 << 2;
/// A leaf above level 0.
pub(crate) const LARGE: u64 = 1 << 7;
/// Not executable.
pub(crate) const NO_EXECUTE: u64 = 1 << 63;
/// Host-physical address of the page or of the next table.
pub(crate) const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Level of a table's root.
pub(crate) const ROOT_LEVEL: u8 = 3;

/// Bytes mapped by an entry of `level`.
pub(crate) const fn span(level: u8) -> u64 {
    1 << (12 + 9 * level as u32)
}

/// Host-physical address of the entry for `gpa` in the table `table` of `level`.
pub(crate) const fn entry_at(table: Hpa, gpa: u64, level: u8) -> Hpa {
    table + (gpa >> (12 + 9 * level as u32) & 0x1ff) * 8
}

/// What a walk of the processor would find for a guest-physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// The entry that ended the walk.
    pub(crate) entry: u64,
    /// Its level.
    pub(crate) level: u8,
}

impl Walk {
    /// Walks the table at `root` for `gpa`.
    pub(crate) fn new(root: Hpa, gpa: u64) -> Self {
        let mut table = root;
        let mut level = ROOT_LEVEL;
        loop {
            let entry = physical::read(entry_at(table, gpa, level));
            if entry & PRESENT == 0 || level == 0 || entry & LARGE != 0 {
                return Self { entry, level };
            }
            table = entry & ADDRESS;
            level -= 1;
        }
    }

    /// Where `gpa` lies in the machine, if the walk ended at a present leaf.
    pub(crate) fn translate(self, gpa: u64) -> Option<Hpa> {
        (self.entry & PRESENT != 0).then(|| (self.entry & ADDRESS) + (gpa & (span(self.level) - 1)))
    }

    /// Bits 2:0 as in an EPT violation's qualification: readable, writable, executable.
    pub(crate) fn permissions(self) -> u64 {
        if self.entry & PRESENT == 0 {
            return 0;
        }
        1 | (self.entry & WRITE) | u64::from(self.entry & NO_EXECUTE == 0) << 2
    }
}
