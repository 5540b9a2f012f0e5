// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices that L2 cannot find by itself, and the sleep state for power off.
//!
//! Lines of devices are wired to the IO-APIC, so they work by level, active low, as the table of such
//! wires implies. There are no link devices, which could be asked to wire them otherwise.
//!
//! Spec: ACPI "Device Identification", "_PRT (PCI Routing Table)", "Resource Data Types for ACPI", "\_Sx System States"; PCI
//! Firmware "Hot-Plug and Resource Assignment".

use acpi_tables::{
    Aml,
    aml::{
        AddressSpace, AddressSpaceCacheable, Device, EISAName, IO, Interrupt, Name, Package,
        PackageBuilder, Path, ResourceTemplate, Scope,
    },
    sdt::Sdt,
};
use alloc::{vec, vec::Vec};

use super::{OEM, OEM_REVISION, OEM_TABLE, Wire};
use crate::{
    pci::ports,
    platform::{SERIAL, SLEEP_TYPE_OFF},
};

const COM1_GSI: u32 = 4;
/// Address and data of configuration space.
const PCI_PORTS: u16 = 0xcf8;
/// Where devices have their ports.
const DEVICE_PORTS: (u16, u16) = (ports::FIRST, 0xffff);
/// Where devices have their memory.
const PCI_MEMORY: (u32, u32) = (0xc000_0000, 0xfebf_ffff);
const REVISION: u8 = 2;
const HEADER: u32 = 36;

/// Makes the table.
pub(super) fn table(wires: &[Wire]) -> Sdt {
    let mut sdt = Sdt::new(*b"DSDT", HEADER, REVISION, OEM, OEM_TABLE, OEM_REVISION);
    add_serial_port(&mut sdt);
    add_pci_root(&mut sdt, wires);
    append(
        &mut sdt,
        &Name::new(Path::new("_S5_"), &Package::new(vec![&SLEEP_TYPE_OFF, &0_u8, &0_u8, &0_u8])),
    );
    sdt
}

fn add_serial_port(sdt: &mut Sdt) {
    let ports = IO::new(SERIAL, SERIAL, 1, 8);
    let interrupt = Interrupt::new(true, true, false, false, COM1_GSI);
    let resources = ResourceTemplate::new(vec![&ports, &interrupt]);
    add_device(
        sdt,
        "COM1",
        vec![
            &Name::new(Path::new("_HID"), &EISAName::new("PNP0501")),
            &Name::new(Path::new("_UID"), &1_u8),
            &Name::new(Path::new("_STA"), &0xf_u8),
            &Name::new(Path::new("_CRS"), &resources),
        ],
    );
}

fn add_pci_root(sdt: &mut Sdt, wires: &[Wire]) {
    let (cacheable, (first, last)) = (AddressSpaceCacheable::NotCacheable, PCI_MEMORY);
    let bus = AddressSpace::new_bus_number(0_u16, 0);
    let ports = IO::new(PCI_PORTS, PCI_PORTS, 1, 8);
    let device_ports = AddressSpace::new_io(DEVICE_PORTS.0, DEVICE_PORTS.1, None);
    let memory = AddressSpace::new_memory(cacheable, true, first, last, None);
    let resources = ResourceTemplate::new(vec![&bus, &ports, &device_ports, &memory]);
    let routing = routing(wires);
    add_device(
        sdt,
        "PCI0",
        vec![
            &Name::new(Path::new("_HID"), &EISAName::new("PNP0A03")),
            &Name::new(Path::new("_UID"), &0_u8),
            &Name::new(Path::new("_SEG"), &0_u8),
            &Name::new(Path::new("_BBN"), &0_u8),
            &Name::new(Path::new("_CRS"), &resources),
            &Name::new(Path::new("_PRT"), &routing),
        ],
    );
}

/// A package for each pin of each device. All functions of a device share its pins, so the first one of
/// them that has a pin says where it leads.
fn routing(wires: &[Wire]) -> PackageBuilder {
    let mut routing = PackageBuilder::new();
    for (index, wire) in wires.iter().enumerate() {
        let (address, pin) = place(wire);
        if !wires.iter().take(index).any(|earlier| place(earlier) == (address, pin)) {
            let entry: Vec<&dyn Aml> = vec![&address, &pin, &0_u8, &wire.gsi];
            routing.add_element(&Package::new(entry));
        }
    }
    routing
}

/// The device with all its functions, and its pin counted from 0.
const fn place(wire: &Wire) -> (u32, u8) {
    let number = (wire.bdf.0 >> 3 & 0x1f) as u32;
    (number << 16 | 0xffff, wire.pin.register() - 1)
}

fn add_device(sdt: &mut Sdt, name: &str, objects: Vec<&dyn Aml>) {
    let device = Device::new(Path::new(name), objects);
    append(sdt, &Scope::new(Path::new("_SB_"), vec![&device]));
}

fn append(sdt: &mut Sdt, object: &dyn Aml) {
    let mut bytes = vec![];
    object.to_aml_bytes(&mut bytes);
    sdt.append_slice(&bytes);
}
