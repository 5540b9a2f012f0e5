// SPDX-License-Identifier: MIT OR Apache-2.0
//! ACPI tables as QEMU hands them to firmware: two files, and a script that joins them.
//!
//! The emulated host shows a TD these in place of those of its own machine, so a TD can be given the tables of another
//! machine, or bad ones.
//!
//! Spec: QEMU "fw_cfg".

/// A machine's, out of QEMU.
mod dump;

/// The table that is a program.
mod dsdt;

/// That table, changed.
pub mod changes;

use std::{fs, path::Path};

pub use self::dump::Source;
use crate::{Result, failure::Context};

/// Tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTables {
    /// All of them, one behind the other.
    pub tables: Vec<u8>,
    /// How they are joined.
    pub loader: Vec<u8>,
    /// What leads to them.
    pub rsdp: Vec<u8>,
}

/// A file: its name in a directory, QEMU's name for it, and the one by which the emulated host is given it.
struct Name {
    file: &'static str,
    own: &'static str,
    given: &'static str,
}

const TABLES: Name =
    Name { file: "tables", own: "etc/acpi/tables", given: "opt/org.lychgate/acpi/tables" };
const LOADER: Name =
    Name { file: "table-loader", own: "etc/table-loader", given: "opt/org.lychgate/acpi/loader" };
const RSDP: Name = Name { file: "rsdp", own: "etc/acpi/rsdp", given: "opt/org.lychgate/acpi/rsdp" };

impl HostTables {
    /// Reads the three files of a directory.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read; the failure says what it is to hold.
    pub fn read(directory: &Path) -> Result<Self> {
        let read = |name: Name| {
            let path = directory.join(name.file);
            let what = || format!("{}, which is QEMU's {}", path.display(), name.own);
            fs::read(&path).context(what)
        };
        Ok(Self { tables: read(TABLES)?, loader: read(LOADER)?, rsdp: read(RSDP)? })
    }

    /// Writes the three files into a directory.
    ///
    /// # Errors
    ///
    /// If one of them cannot be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        for (name, bytes) in [(TABLES, &self.tables), (LOADER, &self.loader), (RSDP, &self.rsdp)] {
            let path = directory.join(name.file);
            fs::write(&path, bytes).context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// QEMU's words for the files of a directory, to be shown to the TD.
    pub(crate) fn qemu_options(directory: &Path) -> impl Iterator<Item = String> {
        [TABLES, LOADER, RSDP].into_iter().flat_map(|name| {
            // A comma would end the path.
            let path = directory.join(name.file).display().to_string().replace(',', ",,");
            ["-fw_cfg".to_owned(), format!("name={},file={path}", name.given)]
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::HostTables;
    use crate::machine::Scratch;

    #[test]
    fn what_is_written_is_read() {
        let directory = Scratch::new().unwrap();
        let tables = HostTables { tables: vec![1; 9], loader: vec![2; 5], rsdp: vec![3] };
        tables.write(directory.path()).unwrap();
        assert_eq!(HostTables::read(directory.path()).unwrap(), tables);
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let directory = Scratch::new().unwrap();
        let failure = |tables: &[&str]| {
            for name in tables {
                fs::write(directory.path().join(name), "x").unwrap();
            }
            HostTables::read(directory.path()).unwrap_err().to_string()
        };
        let said = failure(&[]);
        assert!(said.contains("/tables, which is QEMU's etc/acpi/tables: No such file"), "{said}");
        let said = failure(&["tables", "rsdp"]);
        assert!(said.contains("/table-loader, which is QEMU's etc/table-loader"), "{said}");
    }

    #[test]
    fn a_comma_in_a_path_is_kept() {
        let words: Vec<_> = HostTables::qemu_options(Path::new("/a,b")).collect();
        assert_eq!(words[1], "name=opt/org.lychgate/acpi/tables,file=/a,,b/tables");
        assert_eq!(words.len(), 6);
    }
}
