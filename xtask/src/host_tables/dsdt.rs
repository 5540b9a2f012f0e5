// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table that is a program, and another one in its place.
//!
//! QEMU's script names each table of the file by begin and length, to have its checksum computed; that is how the tables
//! are found here. A program that is changed goes behind them all, so that no other table moves, and the one table that
//! leads to it is changed to lead there.
//!
//! Spec: ACPI "Fixed ACPI Description Table (FADT)"; QEMU "ACPI table linker-loader".

use core::ops::Range;

use super::{HostTables, TABLES};

/// Bytes of a command of the script.
const COMMAND: usize = 128;
/// The number of the command that has a checksum computed.
const CHECKSUM: u32 = 3;
/// Bytes of a file's name.
const NAME: usize = 56;

/// Zeros behind the last table, at least. QEMU has more, and a TD may read them one by one.
const SPARE: usize = 4096;

/// Where the checksum of a table is in it.
const SUM: usize = 9;

/// Where the one table has the place of the other: with 32 bits, and, if it is long enough, with 64.
const DSDT: usize = 40;
const X_DSDT: usize = 140;

/// A command by which a checksum is computed.
#[derive(Clone, Debug)]
struct Checksum {
    /// Where the command is in the script.
    command: usize,
    table: Range<usize>,
}

impl HostTables {
    /// The program.
    #[must_use]
    pub fn dsdt(&self) -> Option<&[u8]> {
        self.tables.get(self.named(b"DSDT")?.table)
    }

    /// The same tables with another program.
    #[must_use]
    pub fn with_dsdt(&self, dsdt: &[u8]) -> Option<Self> {
        let old = self.named(b"DSDT")?;
        let leads = self.named(b"FACP")?.table;
        let begin = self.sums().map(|sum| sum.table.end).max()?.next_multiple_of(16);
        let mut new = self.clone();
        let end = begin + dsdt.len();
        new.tables.resize((end + SPARE).next_multiple_of(SPARE), 0);
        new.tables.get_mut(begin..end)?.copy_from_slice(dsdt);
        let place = u64::try_from(begin).ok()?.to_le_bytes();
        for (field, width) in [(DSDT, 4), (X_DSDT, 8)] {
            let at = leads.start + field;
            if at + width <= leads.end {
                new.tables.get_mut(at..at + width)?.copy_from_slice(&place[..width]);
            }
        }
        let fields = [begin + SUM, begin, dsdt.len()];
        for (at, field) in (old.command + 4 + NAME..).step_by(4).zip(fields) {
            let field = u32::try_from(field).ok()?.to_le_bytes();
            new.loader.get_mut(at..at + 4)?.copy_from_slice(&field);
        }
        Some(new)
    }

    /// The table of this name.
    fn named(&self, name: &[u8; 4]) -> Option<Checksum> {
        self.sums()
            .find(|sum| self.tables.get(sum.table.start..).is_some_and(|t| t.starts_with(name)))
    }

    fn sums(&self) -> impl Iterator<Item = Checksum> {
        let commands = (0..).step_by(COMMAND).zip(self.loader.chunks_exact(COMMAND));
        commands.filter_map(|(command, bytes)| {
            let word = |at: usize| {
                let word = bytes.get(at..at + 4)?.try_into().ok()?;
                usize::try_from(u32::from_le_bytes(word)).ok()
            };
            let name = bytes.get(4..4 + TABLES.own.len())?;
            let wanted = usize::try_from(CHECKSUM).ok() == word(0) && name == TABLES.own.as_bytes();
            let start = word(4 + NAME + 4)?;
            wanted.then_some(Checksum { command, table: start..start + word(4 + NAME + 8)? })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::host_tables::HostTables;

    fn table(name: &[u8; 4], length: usize) -> Vec<u8> {
        let mut table = name.to_vec();
        table.extend(u32::try_from(length).unwrap().to_le_bytes());
        table.resize(length, 0x11);
        table
    }

    fn checksum(fields: [u32; 3]) -> Vec<u8> {
        let mut command = [&3_u32.to_le_bytes()[..], b"etc/acpi/tables"].concat();
        command.resize(60, 0);
        command.extend(fields.map(u32::to_le_bytes).concat());
        command.resize(128, 0);
        command
    }

    /// A program of 60 bytes at 64, and what leads to it, which is `length` long, behind it.
    fn tables(length: usize) -> HostTables {
        let mut tables = table(b"FACS", 64);
        tables.extend(table(b"DSDT", 60));
        tables.extend(table(b"FACP", length));
        tables.resize(512, 0);
        let length = u32::try_from(length).unwrap();
        let mut allocation = checksum([1, 2, 3]);
        allocation[0] = 1;
        let loader = [allocation, checksum([73, 64, 60]), checksum([133, 124, length])].concat();
        HostTables { tables, loader, rsdp: vec![] }
    }

    #[test]
    fn the_program_is_what_the_script_says() {
        assert_eq!(tables(244).dsdt(), Some(&table(b"DSDT", 60)[..]));
        assert_eq!(HostTables { loader: vec![], ..tables(244) }.dsdt(), None);
    }

    #[test]
    fn another_program_lies_behind_all_tables() {
        for (length, begin) in [(244, 368), (116, 240)] {
            let before = tables(length);
            let program = table(b"DSDT", 200);
            let after = before.with_dsdt(&program).unwrap();
            assert_eq!(after.dsdt(), Some(&program[..]));
            assert_eq!(after.tables[begin..][..200], program);
            let leads = &after.tables[124..124 + length];
            let place = u32::try_from(begin).unwrap().to_le_bytes();
            assert_eq!(leads[40..44], place);
            if length == 244 {
                assert_eq!(leads[140..148], [&place[..], &[0; 4]].concat());
            }
            assert_eq!(
                after.loader[128 + 60..128 + 64],
                (u32::try_from(begin).unwrap() + 9).to_le_bytes()
            );
            assert_eq!(after.tables[..124], before.tables[..124], "the others are as they were");
            assert_eq!(after.loader[256..], before.loader[256..]);
        }
    }

    #[test]
    fn the_file_is_as_long_as_its_tables() {
        let after = tables(244).with_dsdt(&table(b"DSDT", 9000)).unwrap();
        assert_eq!(after.tables.len(), 16384);
        assert_eq!(after.dsdt().map(<[u8]>::len), Some(9000));
    }
}
