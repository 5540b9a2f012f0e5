// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table in which the firmware says where the remapping hardware is.
//!
//! RSDP → XSDT or RSDT → DMAR → the one unit there is, and the functions of bus 0 behind it. What the
//! tables do not say is not guessed. Everything they say about length is checked before it is used.
//!
//! Spec: ACPI "Root System Description Pointer (RSDP)", "System Description Table Header"; VT-D
//! "DMA Remapping Reporting Structure", "DMA Remapping Hardware Unit Definition Structure".

use core::fmt;

use super::bytes::{at, sum};

const HEADER: usize = 36;

/// Longest table that is looked at.
const LONGEST: u32 = 1 << 20;

/// The unit, and the devices behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// Where its registers are.
    pub(crate) registers: u64,
    /// A bit for each function of bus 0, by device and function number.
    functions: [u64; 4],
}

impl Located {
    /// Whether a function on bus 0 is behind the unit.
    pub(crate) fn covers(&self, devfn: u8) -> bool {
        self.functions[usize::from(devfn) / 64] >> (devfn % 64) & 1 == 1
    }
}

/// Why there is no remapping hardware to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The loader named no RSDP, or it is damaged.
    NoRsdp,
    /// No table of that kind.
    NoTable,
    /// A table cannot be read or is damaged.
    BadTable,
    /// The table names no unit, or several.
    NotOneUnit,
    /// The unit does not answer as one, or lacks what is needed.
    Unusable(&'static str),
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRsdp => "the loader names no ACPI tables",
            Self::NoTable => "the machine has no intel-iommu",
            Self::BadTable => "an ACPI table is damaged",
            Self::NotOneUnit => "no unit, or more than one",
            Self::Unusable(why) => why,
        })
    }
}

/// Finds the registers of the unit. `memory` gives bytes of physical memory.
pub(crate) fn find<'a>(
    rsdp: u64,
    memory: impl Fn(u64, u32) -> Option<&'a [u8]>,
) -> Result<Located, Absent> {
    let (root, width) = root(rsdp, &memory)?;
    let root = table(root, &memory).ok_or(Absent::BadTable)?;
    let entries = root.get(HEADER..).unwrap_or_default().chunks_exact(width);
    for entry in entries {
        let address = entry.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let header = memory(address, 4).ok_or(Absent::BadTable)?;
        if header == b"DMAR" {
            return unit(table(address, &memory).ok_or(Absent::BadTable)?);
        }
    }
    Err(Absent::NoTable)
}

/// Address of the table of tables, and how wide its entries are.
fn root<'a>(
    rsdp: u64,
    memory: &impl Fn(u64, u32) -> Option<&'a [u8]>,
) -> Result<(u64, usize), Absent> {
    const LENGTH: u32 = 20;
    const EXTENDED: u32 = 36;
    let pointer = memory(rsdp, LENGTH).filter(|_| rsdp != 0).ok_or(Absent::NoRsdp)?;
    if !pointer.starts_with(b"RSD PTR ") || sum(pointer) != 0 {
        return Err(Absent::NoRsdp);
    }
    let [revision] = at(pointer, 15).ok_or(Absent::NoRsdp)?;
    let extended = memory(rsdp, EXTENDED).filter(|bytes| revision >= 2 && sum(bytes) == 0);
    let xsdt = extended.and_then(|bytes| at(bytes, 24)).map_or(0, u64::from_le_bytes);
    if xsdt != 0 {
        return Ok((xsdt, 8));
    }
    let rsdt = at(pointer, 16).map(u32::from_le_bytes).ok_or(Absent::NoRsdp)?;
    Ok((rsdt.into(), 4))
}

/// A whole table, if its length is sane and its sum is right.
fn table<'a>(address: u64, memory: &impl Fn(u64, u32) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
    let length = at(memory(address, 8)?, 4).map(u32::from_le_bytes)?;
    let bytes = memory(address, length).filter(|_| length <= LONGEST)?;
    (bytes.len() >= HEADER && sum(bytes) == 0).then_some(bytes)
}

/// The only unit of segment 0.
fn unit(table: &[u8]) -> Result<Located, Absent> {
    const STRUCTURES: usize = 48;
    const DRHD: u16 = 0;
    let mut rest = table.get(STRUCTURES..).unwrap_or_default();
    let mut found = None;
    while !rest.is_empty() {
        let kind = at(rest, 0).map(u16::from_le_bytes).ok_or(Absent::BadTable)?;
        let length = at(rest, 2).map(u16::from_le_bytes).ok_or(Absent::BadTable)?;
        let (structure, next) =
            rest.split_at_checked(length.into()).filter(|_| length >= 4).ok_or(Absent::BadTable)?;
        rest = next;
        if kind == DRHD && found.replace(located(structure).ok_or(Absent::BadTable)?).is_some() {
            return Err(Absent::NotOneUnit);
        }
    }
    found.ok_or(Absent::NotOneUnit)
}

/// Reads the structure of a unit.
fn located(structure: &[u8]) -> Option<Located> {
    const SCOPES: usize = 16;
    const INCLUDE_PCI_ALL: u8 = 1 << 0;
    const ENDPOINT: u8 = 1;
    const ON_A_BUS: u8 = 8;
    let [flags] = at(structure, 4)?;
    let segment = at(structure, 6).map(u16::from_le_bytes)?;
    let registers = at(structure, 8).map(u64::from_le_bytes)?;
    let mut located = Located { registers, functions: [0; 4] };
    if flags & INCLUDE_PCI_ALL != 0 && segment == 0 {
        located.functions = [u64::MAX; 4];
    }
    let mut rest = structure.get(SCOPES..)?;
    while !rest.is_empty() {
        let [kind, length] = at(rest, 0)?;
        let (scope, next) = rest.split_at_checked(length.into()).filter(|_| length >= 6)?;
        rest = next;
        if (kind, length, segment) == (ENDPOINT, ON_A_BUS, 0) {
            let [bus, device, function] = at(scope, 5)?;
            let devfn = usize::from(device & 0x1f) << 3 | usize::from(function & 7);
            located.functions[devfn / 64] |= u64::from(bus == 0) << (devfn % 64);
        }
    }
    Some(located)
}

#[cfg(test)]
mod tests {
    use super::{Absent, Located, find};

    const RSDP: u64 = 0xf_5000;
    const RSDT: u64 = 0x7ff0_0000;
    const DMAR: u64 = 0x7ff0_1000;
    const UNIT: u64 = 0xfed9_0000;

    type Memory = Vec<(u64, Vec<u8>)>;

    fn balanced(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
        bytes[at] = 0;
        bytes[at] = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
        bytes
    }

    fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = signature.to_vec();
        bytes.extend(u32::try_from(36 + body.len()).unwrap().to_le_bytes());
        bytes.resize(36, 0);
        bytes.extend(body);
        balanced(bytes, 9)
    }

    fn drhd(flags: u8, registers: u64) -> Vec<u8> {
        let mut bytes = vec![0, 0, 40, 0, flags, 0, 0, 0];
        bytes.extend(registers.to_le_bytes());
        bytes.extend([3, 8, 0, 0, 0, 0xff, 0, 0]); // an IO-APIC
        bytes.extend([1, 8, 0, 0, 0, 0, 0x1f, 2]);
        bytes.extend([1, 8, 0, 0, 0, 1, 3, 0]); // on bus 1
        bytes
    }

    fn machine(units: &[Vec<u8>]) -> Memory {
        let mut rsdp = b"RSD PTR \0BOCHS \0".to_vec();
        rsdp.extend(u32::try_from(RSDT).unwrap().to_le_bytes());
        let mut entries = 0x7ff0_2000_u32.to_le_bytes().to_vec();
        entries.extend(u32::try_from(DMAR).unwrap().to_le_bytes());
        let mut body = vec![38, 0];
        body.resize(12, 0);
        body.extend([2, 0, 8, 0, 0, 0, 0, 0]); // something else: ATSR
        body.extend(units.concat());
        vec![
            (RSDP, balanced(rsdp, 8)),
            (RSDT, table(b"RSDT", &entries)),
            (0x7ff0_2000, table(b"FACP", &[0; 16])),
            (DMAR, table(b"DMAR", &body)),
        ]
    }

    fn search(memory: &Memory) -> Result<Located, Absent> {
        find(RSDP, |address, length| {
            let (_, bytes) = memory.iter().find(|(start, _)| *start == address)?;
            bytes.get(..usize::try_from(length).unwrap())
        })
    }

    #[test]
    fn the_one_unit_is_found_with_the_functions_behind_it() {
        let unit = search(&machine(&[drhd(0, UNIT)])).unwrap();
        assert_eq!(unit.registers, UNIT);
        let covered: Vec<_> = (0..=u8::MAX).filter(|devfn| unit.covers(*devfn)).collect();
        assert_eq!(covered, [0xfa]);
        let unit = search(&machine(&[drhd(1, UNIT)])).unwrap();
        assert!((0..=u8::MAX).all(|devfn| unit.covers(devfn)));
    }

    #[test]
    fn anything_but_one_unit_does_not_do() {
        let two = machine(&[drhd(1, UNIT), drhd(1, UNIT + 0x1000)]);
        assert_eq!(search(&two), Err(Absent::NotOneUnit));
        assert_eq!(search(&machine(&[])), Err(Absent::NotOneUnit));
    }

    #[test]
    fn a_machine_without_the_table_has_no_unit() {
        let mut memory = machine(&[]);
        memory[1].1 = table(b"RSDT", &0x7ff0_2000_u32.to_le_bytes());
        assert_eq!(search(&memory), Err(Absent::NoTable));
        assert_eq!(find(0, |_, _| Some(&[][..])), Err(Absent::NoRsdp));
    }

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let good = machine(&[drhd(1, UNIT)]);
        for (index, error) in [(0, Absent::NoRsdp), (1, Absent::BadTable), (3, Absent::BadTable)] {
            for byte in 8..good[index].1.len() {
                let mut memory = good.clone();
                memory[index].1[byte] ^= 0x40;
                assert_eq!(search(&memory), Err(error), "table {index} byte {byte}");
            }
        }
        let mut endless = good;
        let body = [&[0; 12][..], &[0; 8]].concat();
        endless[3].1 = table(b"DMAR", &body); // a structure of length 0
        assert_eq!(search(&endless), Err(Absent::BadTable));
    }
}
