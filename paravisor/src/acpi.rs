// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ACPI tables that tell L2 what its machine is made of.
//!
//! Hardware-reduced: no SCI, no power-management timer, no PIC. Everything lies in one block, with the
//! root pointer first; the addresses within are L2's own.
//!
//! Spec: ACPI "Root System Description Pointer", "Extended System Description Table", "Fixed ACPI
//! Description Table", "Multiple APIC Description Table".

/// Processors and interrupt controllers.
mod madt;

/// Ports for power and reset.
mod fadt;

/// Devices and the sleep state.
mod dsdt;

use alloc::vec::Vec;

use acpi_tables::{Aml, rsdp::Rsdp, xsdt::XSDT};

use crate::{intx::Pin, pci::address::Bdf};

const OEM: [u8; 6] = *b"LYCHGT";
const OEM_TABLE: [u8; 8] = *b"LYCHGATE";
const OEM_REVISION: u32 = 1;
const ALIGNMENT: usize = 64;

/// A pin of a device, and the IO-APIC's pin that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The device.
    pub bdf: Bdf,
    /// Its pin.
    pub pin: Pin,
    /// The IO-APIC's.
    pub gsi: u32,
}

/// Makes the tables for a machine of `cpus` processors, to be put at `gpa`; the root pointer comes
/// first. With a `mailbox`, L2 starts its other processors through that page.
#[must_use]
pub fn build(gpa: u64, cpus: u32, mailbox: Option<u64>, wires: &[Wire]) -> Vec<u8> {
    let mut block = Block { gpa, bytes: alloc::vec![0; ALIGNMENT] };
    let dsdt = block.add(&dsdt::table(wires));
    let fadt = block.add(&fadt::table(dsdt));
    let madt = block.add(&madt::table(cpus, mailbox));
    let mut xsdt = XSDT::new(OEM, OEM_TABLE, OEM_REVISION);
    xsdt.add_entry(fadt);
    xsdt.add_entry(madt);
    let xsdt = block.add(&xsdt);
    let mut root = Vec::new();
    Rsdp::new(OEM, xsdt).to_aml_bytes(&mut root);
    let mut bytes = block.bytes;
    bytes.splice(..root.len(), root);
    bytes
}

/// Tables one behind the other.
struct Block {
    gpa: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// Adds a table and returns its address.
    fn add(&mut self, table: &dyn Aml) -> u64 {
        let at = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(at, 0);
        table.to_aml_bytes(&mut self.bytes);
        self.gpa + crate::width::wide(at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Wire, build};
    use crate::{intx::Pin, pci::address::Bdf, platform_area::PlatformArea};

    #[test]
    fn the_root_pointer_comes_first_and_the_tables_fit() {
        let area = PlatformArea::below(0x700_0000);
        let bytes = build(area.acpi().start, 255, Some(area.mailbox()), &[]);
        assert!(bytes.starts_with(b"RSD PTR "));
        assert!(crate::width::wide(bytes.len()) <= area.acpi().end - area.acpi().start);
    }

    #[test]
    fn a_pin_s_way_is_told_as_a_routing_table_has_it() {
        let wire = |devfn, pin, gsi| Wire { bdf: Bdf(devfn), pin, gsi };
        let wires = [wire(0x28, Pin::A, 16), wire(0x29, Pin::A, 16), wire(0x29, Pin::B, 17)];
        let bytes = build(0x700_0000, 1, None, &wires);
        // A name, a package of two packages of four: address, pin, no link device, pin of the IO-APIC.
        let table = [
            0x08, b'_', b'P', b'R', b'T', 0x12, 0x1a, 2, //
            0x12, 0x0b, 4, 0x0c, 0xff, 0xff, 5, 0, 0, 0, 0x0a, 16, //
            0x12, 0x0b, 4, 0x0c, 0xff, 0xff, 5, 0, 1, 0, 0x0a, 17,
        ];
        let found = bytes.windows(8).position(|window| window == &table[..8]);
        let found = found.map(|at| &bytes[at..at + table.len()]);
        let at = bytes.windows(4).position(|window| window == b"_PRT").unwrap();
        assert_eq!(found, Some(&table[..]), "{:x?}", &bytes[at - 1..at + 40]);
    }

    #[test]
    fn every_checksum_is_zero() {
        let base = 0x700_0000;
        let bytes = build(base, 4, None, &[]);
        let sum = |part: &[u8]| part.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
        assert_eq!((sum(&bytes[..20]), sum(&bytes[..36])), (0, 0));
        let number = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        let table = |gpa: u64| {
            let at = usize::try_from(gpa - base).unwrap();
            let length = usize::try_from(number(at + 4) & 0xffff_ffff).unwrap();
            (at, &bytes[at..at + length])
        };
        let (at, xsdt) = table(number(24));
        let (fadt_at, fadt) = table(number(at + 36));
        let (_, madt) = table(number(at + 44));
        let (_, dsdt) = table(number(fadt_at + 140));
        for (name, table) in [(b"XSDT", xsdt), (b"FACP", fadt), (b"APIC", madt), (b"DSDT", dsdt)] {
            assert_eq!(&table[..4], name);
            assert_eq!(sum(table), 0, "{name:?}");
        }
        assert_eq!(fadt.len(), 276, "revision 6");
    }
}
