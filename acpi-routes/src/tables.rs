// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the root pointer to the tables that say where interrupts lead: DSDT, SSDTs and MADT.
//!
//! All of it happens in a copy that is L1's alone. An address that a table names is one in that copy or
//! there are no tables; lengths and checksums are checked before anything else is read.
//!
//! Spec: ACPI "Root System Description Pointer (RSDP)", "System Description Table Header", "Extended
//! System Description Table (XSDT)", "Fixed ACPI Description Table (FADT)".

use core::fmt;

/// How many tables a root table may list.
const MAX_TABLES: usize = 64;

/// How many SSDTs there may be.
const MAX_SSDTS: usize = 16;

const HEADER: usize = 36;

/// What is wrong with the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTables {
    /// The root pointer is none.
    RootPointer,
    /// The table at this address is outside of what was copied, or its length or checksum is wrong.
    Table(u64),
    /// The root table is none, or lists more tables than anybody looks at.
    RootTable,
    /// There is no DSDT, or more than one.
    Dsdt,
    /// There is no MADT, or more than one.
    Madt,
    /// There are more SSDTs than anybody loads.
    Ssdts,
}

/// The tables that say where interrupts lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables<'a> {
    /// The MADT, with its header.
    pub madt: &'a [u8],
    /// The DSDT and the SSDTs behind it.
    aml: [&'a [u8]; 1 + MAX_SSDTS],
    count: usize,
}

/// Memory that tables lie in.
#[derive(Clone, Copy)]
struct Memory<'a> {
    bytes: &'a [u8],
    base: u64,
}

impl<'a> Tables<'a> {
    /// Finds the tables in a private copy whose first byte has the address `base`, from the root pointer.
    ///
    /// # Errors
    ///
    /// What is wrong first. Then nothing of them is to be used.
    pub fn find(bytes: &'a [u8], base: u64, root_pointer: &[u8]) -> Result<Self, BadTables> {
        let memory = Memory { bytes, base };
        let (root, wide) = root(root_pointer).ok_or(BadTables::RootPointer)?;
        let table = memory.table(root)?;
        let (signature, size) = if wide { (b"XSDT", 8) } else { (b"RSDT", 4) };
        let entries = table.get(HEADER..).ok_or(BadTables::RootTable)?.chunks_exact(size);
        let whole = entries.remainder().is_empty() && entries.len() <= MAX_TABLES;
        if table.get(..4) != Some(signature) || !whole {
            return Err(BadTables::RootTable);
        }
        let (mut dsdt, mut madt) = (None, None);
        let (mut aml, mut count): ([&[u8]; 1 + MAX_SSDTS], _) = ([&[]; 1 + MAX_SSDTS], 1);
        for entry in entries {
            let address = number(entry).ok_or(BadTables::RootTable)?;
            let table = memory.table(address)?;
            match table.get(..4) {
                Some(b"FACP") if dsdt.is_some() => return Err(BadTables::Dsdt),
                Some(b"FACP") => {
                    let address = dsdt_address(table).ok_or(BadTables::Dsdt)?;
                    dsdt = Some(memory.table(address)?);
                }
                Some(b"APIC") if madt.is_some() => return Err(BadTables::Madt),
                Some(b"APIC") => madt = Some(table),
                Some(b"SSDT") => {
                    *aml.get_mut(count).ok_or(BadTables::Ssdts)? = table;
                    count += 1;
                }
                _ => {}
            }
        }
        let dsdt = dsdt.filter(|dsdt| dsdt.get(..4) == Some(b"DSDT")).ok_or(BadTables::Dsdt)?;
        if let Some(first) = aml.first_mut() {
            *first = dsdt;
        }
        Ok(Self { madt: madt.ok_or(BadTables::Madt)?, aml, count })
    }

    /// Returns the DSDT and the SSDTs, each with its header.
    #[must_use]
    pub fn aml(&self) -> &[&'a [u8]] {
        self.aml.get(..self.count).unwrap_or_default()
    }
}

impl<'a> Memory<'a> {
    /// Returns the table at an address.
    fn table(&self, address: u64) -> Result<&'a [u8], BadTables> {
        let table = || {
            let start = usize::try_from(address.checked_sub(self.base)?).ok()?;
            let rest = self.bytes.get(start..)?;
            let length = usize::try_from(number(rest.get(4..8)?)?).ok()?;
            rest.get(..length).filter(|table| table.len() >= HEADER && sum(table) == 0)
        };
        table().ok_or(BadTables::Table(address))
    }
}

/// Returns the address of the root table and whether it is the one with wide entries.
fn root(pointer: &[u8]) -> Option<(u64, bool)> {
    let first = pointer.get(..20)?;
    if first.get(..8) != Some(b"RSD PTR ") || sum(first) != 0 {
        return None;
    }
    if *first.get(15)? < 2 {
        return Some((number(first.get(16..20)?)?, false));
    }
    let length = usize::try_from(number(pointer.get(20..24)?)?).ok()?;
    let whole = pointer.get(..length).filter(|whole| whole.len() >= 36 && sum(whole) == 0)?;
    Some((number(whole.get(24..32)?)?, true))
}

/// Returns the wide address if there is one, or else the narrow one.
fn dsdt_address(fadt: &[u8]) -> Option<u64> {
    let wide = fadt.get(140..148).and_then(number).filter(|address| *address != 0);
    wide.or_else(|| number(fadt.get(40..44)?))
}

fn number(bytes: &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(wide))
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

impl fmt::Display for BadTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RootPointer => f.write_str("the root pointer is malformed"),
            Self::Table(address) => write!(f, "the table at {address:#x} is malformed"),
            Self::RootTable => f.write_str("the root table is malformed"),
            Self::Dsdt => f.write_str("there is no DSDT"),
            Self::Madt => f.write_str("there is no MADT"),
            Self::Ssdts => f.write_str("there are too many SSDTs"),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use proptest::prelude::{any, proptest};

    use super::{BadTables, Tables, sum};

    const BASE: u64 = 0x8000;

    /// A table with its length and checksum.
    fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut table = signature.to_vec();
        table.extend(u32::try_from(36 + body.len()).unwrap().to_le_bytes());
        table.resize(36, 0);
        table.extend(body);
        table[9] = 0_u8.wrapping_sub(sum(&table));
        table
    }

    /// DSDT, FADT, MADT, SSDT and RSDT, one after the other, and the root pointer.
    fn machine() -> (Vec<u8>, Vec<u8>) {
        let mut memory = table(b"DSDT", &[0xa3]);
        let mut addresses = Vec::new();
        let mut fadt = [0; 8];
        fadt[4..].copy_from_slice(&u32::try_from(BASE).unwrap().to_le_bytes());
        for table in [table(b"FACP", &fadt), table(b"APIC", &[0; 8]), table(b"SSDT", &[])] {
            let address = u32::try_from(BASE).unwrap() + u32::try_from(memory.len()).unwrap();
            addresses.extend(address.to_le_bytes());
            memory.extend(table);
        }
        let root = u32::try_from(BASE).unwrap() + u32::try_from(memory.len()).unwrap();
        memory.extend(table(b"RSDT", &addresses));
        let mut pointer = b"RSD PTR \0LYCHG8\0".to_vec();
        pointer.extend(root.to_le_bytes());
        pointer[8] = 0_u8.wrapping_sub(sum(&pointer));
        (memory, pointer)
    }

    #[test]
    fn the_tables_are_found() {
        let (memory, pointer) = machine();
        let tables = Tables::find(&memory, BASE, &pointer).unwrap();
        assert_eq!(tables.madt, table(b"APIC", &[0; 8]));
        assert_eq!(tables.aml(), [table(b"DSDT", &[0xa3]), table(b"SSDT", &[])]);
    }

    #[test]
    fn no_changed_bit_of_what_is_used_goes_unnoticed() {
        let (memory, pointer) = machine();
        for bit in 0..memory.len() * 8 {
            let mut changed = memory.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Tables::find(&changed, BASE, &pointer).is_err(), "bit {bit}");
        }
        for bit in 0..pointer.len() * 8 {
            let mut changed = pointer.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Tables::find(&memory, BASE, &changed), Err(BadTables::RootPointer));
        }
    }

    #[test]
    fn an_address_outside_is_refused() {
        let (memory, pointer) = machine();
        for base in [0, BASE + 1, BASE - 1, BASE + 0x1000] {
            assert!(Tables::find(&memory, base, &pointer).is_err(), "{base:#x}");
        }
        let short = &memory[..memory.len() - 1];
        assert!(matches!(Tables::find(short, BASE, &pointer), Err(BadTables::Table(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            at in any::<proptest::sample::Index>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..16),
        ) {
            let (mut memory, pointer) = machine();
            let at = at.index(memory.len());
            let end = (at + bytes.len()).min(memory.len());
            memory[at..end].copy_from_slice(&bytes[..end - at]);
            let _ = Tables::find(&memory, BASE, &pointer);
            let _ = Tables::find(&bytes, 0, &pointer);
        }
    }
}
