// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ACPI tables of the host's machine, in memory that is L1's alone, and their digest.
//!
//! A host like QEMU has files and a script that joins them. Each is copied once. What is measured is what was
//! copied, before the script changes it, so that a verifier can compute it from the host's files whatever
//! the address that L1 has for them.
//!
//! The digest is SHA-384 over the files in the order in which they were copied, the script first. Each file
//! is its name, filled up with zeros to 56 bytes; its length as 8 bytes, little-endian; and its content.
//! A name that the host does not know ends the copying, and then nothing is used and nothing is measured.
//! `docs/routes.md` says it to verifiers.
//!
//! Spec: QEMU "fw_cfg".

use alloc::{vec, vec::Vec};
use core::{fmt, ops::Range};

use acpi_routes::{
    fw_cfg::{FwCfg, Ports},
    loader::{BadScript, FileName, Loaded},
    tables::{BadTables, Tables},
};
use sha2::{Digest as _, Sha384};

use crate::width;

/// The script.
const SCRIPT: &[u8] = b"etc/table-loader";
/// The root pointer.
const ROOT_POINTER: &[u8] = b"etc/acpi/rsdp";

/// The longest script that is looked at.
const MAX_SCRIPT: usize = 32 << 10;

/// The host's tables.
#[derive(Debug)]
pub struct HostTables<'a> {
    loaded: Loaded<'a>,
    /// What was copied.
    pub digest: Digest,
}

/// A digest, shown as a verifier writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 48]);

/// Why there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The host has no files.
    NoDevice,
    /// The host has no script, or too long a one.
    NoScript,
    /// The script is wrong.
    Script(BadScript),
    /// The script brings no root pointer.
    NoRootPointer,
    /// The tables are wrong.
    Tables(BadTables),
}

impl<'a> HostTables<'a> {
    /// Copies the tables into `memory`, which begins at the page `base`.
    ///
    /// # Errors
    ///
    /// If the host has none, or no good ones.
    pub fn copy(ports: impl Ports, memory: &'a mut [u8], base: u64) -> Result<Self, Error> {
        let mut device = FwCfg::find(ports).ok_or(Error::NoDevice)?;
        let mut sum = Sha384::new();
        let name = name(SCRIPT);
        let mut script = vec![0; MAX_SCRIPT];
        let length = device.file(&name).and_then(|file| device.read(file, &mut script));
        script.truncate(length.ok_or(Error::NoScript)?);
        measure(&mut sum, &name, &script);
        let fetch = |name: &FileName, to: &mut [u8]| {
            let file = device.file(name)?;
            let length = device.read(file, to)?;
            measure(&mut sum, name, to.get(..length)?);
            Some(length)
        };
        let loaded = Loaded::run(memory, base, &script, fetch).map_err(Error::Script)?;
        Ok(Self { loaded, digest: Digest(sum.finalize().into()) })
    }

    /// Returns where in the memory the tables lie that have AML.
    ///
    /// # Errors
    ///
    /// As for [`Self::tables`].
    pub fn places(&self) -> Result<Vec<Range<usize>>, Error> {
        let (memory, _) = self.loaded.memory();
        let place = |table: &&[u8]| {
            let start = table.as_ptr().addr().wrapping_sub(memory.as_ptr().addr());
            start..start + table.len()
        };
        Ok(self.tables()?.aml().iter().map(place).collect())
    }

    /// Finds the tables that say where interrupts lead.
    ///
    /// # Errors
    ///
    /// If one of them is missing or malformed.
    pub fn tables(&self) -> Result<Tables<'_>, Error> {
        let (memory, base) = self.loaded.memory();
        let root_pointer = self.loaded.file(ROOT_POINTER).ok_or(Error::NoRootPointer)?;
        Tables::find(memory, base, root_pointer).map_err(Error::Tables)
    }
}

fn name(text: &[u8]) -> FileName {
    let mut name = [0; size_of::<FileName>()];
    name.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    name
}

fn measure(sum: &mut Sha384, name: &FileName, content: &[u8]) {
    sum.update(name);
    sum.update(width::wide(content.len()).to_le_bytes());
    sum.update(content);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice => f.write_str("the host has no files"),
            Self::NoScript => f.write_str("the host has no script for them, or too long a one"),
            Self::Script(error) => write!(f, "the host's script: {error}"),
            Self::NoRootPointer => f.write_str("the host has no root pointer"),
            Self::Tables(error) => write!(f, "the host's tables: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, string::ToString, vec, vec::Vec};

    use acpi_routes::{fw_cfg::Ports, loader::BadScript, tables::BadTables};
    use sha2::{Digest as _, Sha384};

    use super::{Digest, Error, HostTables, name};

    const BASE: u64 = 0x10_0000;

    /// A host with files. Each byte of a file is right once; after that it is another.
    struct Host {
        items: BTreeMap<u16, Vec<u8>>,
        selected: (u16, usize),
    }

    impl Host {
        fn new(files: &[(&[u8], Vec<u8>)]) -> Self {
            let mut directory = u32::try_from(files.len()).unwrap().to_be_bytes().to_vec();
            let mut items = BTreeMap::from([(0, b"QEMU".to_vec())]);
            for (item, (text, content)) in (0x20_u16..).zip(files) {
                directory.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
                directory.extend(item.to_be_bytes());
                directory.extend([0; 2]);
                directory.extend(name(text));
                items.insert(item, content.clone());
            }
            items.insert(0x19, directory);
            Self { items, selected: (0, 0) }
        }
    }

    impl Ports for Host {
        fn select(&mut self, item: u16) {
            self.selected = (item, 0);
        }

        fn next(&mut self) -> u8 {
            let (item, at) = self.selected;
            self.selected.1 += 1;
            let Some(byte) = self.items.get_mut(&item).and_then(|item| item.get_mut(at)) else {
                return 0;
            };
            let now = *byte;
            if item >= 0x20 {
                *byte = !now;
            }
            now
        }
    }

    fn command(number: u32, fields: &[&[u8]]) -> Vec<u8> {
        let mut command = [&number.to_le_bytes()[..], &fields.concat()].concat();
        command.resize(128, 0);
        command
    }

    fn allocate(file: &[u8]) -> Vec<u8> {
        command(1, &[&name(file), &64_u32.to_le_bytes()])
    }

    fn pointer(to: &[u8], of: &[u8], at: u32) -> Vec<u8> {
        command(2, &[&name(to), &name(of), &at.to_le_bytes(), &[4]])
    }

    fn checksum(file: &[u8], numbers: [u32; 3]) -> Vec<u8> {
        command(3, &[&name(file), &numbers.map(u32::to_le_bytes).concat()])
    }

    const TABLES: &[u8] = b"etc/acpi/tables";
    const ROOT: &[u8] = super::ROOT_POINTER;

    fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut table = signature.to_vec();
        table.extend(u32::try_from(36 + body.len()).unwrap().to_le_bytes());
        table.resize(36, 0);
        table.extend(body);
        table
    }

    /// The files of a machine: DSDT at 0, FADT at 36, MADT at 80, RSDT at 124.
    fn files() -> [(&'static [u8], Vec<u8>); 3] {
        let rsdt = [36_u32, 80].map(u32::to_le_bytes).concat();
        let tables = [
            table(b"DSDT", &[]),
            table(b"FACP", &[0; 8]),
            table(b"APIC", &[0; 8]),
            table(b"RSDT", &rsdt),
        ]
        .concat();
        let root = [&b"RSD PTR \0LYCHG \0"[..], &124_u32.to_le_bytes()].concat();
        let mut script = [allocate(ROOT), allocate(TABLES)].concat();
        script.extend(pointer(TABLES, TABLES, 36 + 40));
        script.extend(pointer(TABLES, TABLES, 124 + 36));
        script.extend(pointer(TABLES, TABLES, 124 + 40));
        script.extend(pointer(ROOT, TABLES, 16));
        for (start, length) in [(0, 36), (36, 44), (80, 44), (124, 44)] {
            script.extend(checksum(TABLES, [start + 9, start, length]));
        }
        script.extend(checksum(ROOT, [8, 0, 20]));
        [(super::SCRIPT, script), (ROOT, root), (TABLES, tables)]
    }

    #[test]
    fn tables_are_copied_once_and_found() {
        let mut memory = vec![0xff; 4096];
        let copied = HostTables::copy(Host::new(&files()), &mut memory, BASE).unwrap();
        let tables = copied.tables().unwrap();
        assert_eq!(&tables.madt[..4], b"APIC");
        assert_eq!(tables.aml().len(), 1);
        // The root pointer comes first, and each file begins on 64 bytes.
        assert!(copied.places().unwrap().into_iter().eq(core::iter::once(64..64 + 36)));
    }

    #[test]
    fn the_digest_is_that_of_the_host_s_files() {
        let mut memory = vec![0; 4096];
        let copied = HostTables::copy(Host::new(&files()), &mut memory, BASE).unwrap();
        let mut all = Vec::new();
        for (file, content) in files() {
            all.extend(file);
            all.resize(all.len() + 56 - file.len(), 0);
            all.extend(u64::try_from(content.len()).unwrap().to_le_bytes());
            all.extend(content);
        }
        let wanted = Digest(Sha384::digest(all).into());
        assert_eq!(copied.digest, wanted);
        assert_eq!(wanted.to_string().len(), 96);
    }

    #[test]
    fn a_host_without_good_files_has_no_tables() {
        let refused = |files: &[(&[u8], Vec<u8>)]| {
            HostTables::copy(Host::new(files), &mut vec![0; 4096], BASE).unwrap_err()
        };
        let [script, root, tables] = files();
        assert_eq!(refused(&[]), Error::NoScript);
        assert_eq!(refused(&[(super::SCRIPT, vec![0; (32 << 10) + 1])]), Error::NoScript);
        assert_eq!(refused(&[script.clone(), root.clone()]), Error::Script(BadScript::File));
        let mut nothing = Host::new(&[]);
        nothing.items.remove(&0);
        let mut memory = vec![0; 4096];
        assert_eq!(HostTables::copy(nothing, &mut memory, BASE).unwrap_err(), Error::NoDevice);
        let alone = [(super::SCRIPT, allocate(TABLES)), tables.clone()];
        let copied = HostTables::copy(Host::new(&alone), &mut memory, BASE).unwrap();
        assert_eq!(copied.tables(), Err(Error::NoRootPointer));
        let raw = [(super::SCRIPT, [allocate(ROOT), allocate(TABLES)].concat()), root, tables];
        let copied = HostTables::copy(Host::new(&raw), &mut memory, BASE).unwrap();
        assert_eq!(copied.tables(), Err(Error::Tables(BadTables::RootPointer)));
    }
}
