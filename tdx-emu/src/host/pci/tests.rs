// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD's view of a machine with an edu device, an ivshmem device and a disk controller.

/// The ISA bridge.
mod isa_bridge;

use std::collections::HashMap;

use super::{
    ADDRESS, DATA, Pci,
    entry::Message,
    hand_over::HandedOver,
    platform::{PhysicalMessage, Platform, Target},
};
use crate::{host::command_line::PciId, iommu::remapping::Way, observe::Source};

const EDU: u8 = 2 << 3;
const BELL: u8 = 3 << 3;
const NVME: u8 = 4 << 3;
const SERIAL: u8 = 6 << 3;
const DISK: u8 = 31 << 3;
const EXPRESS: u8 = 0x80;
const EDU_MEMORY: u64 = 0xfea0_0000;
const BELL_REGISTERS: u64 = 0xfebd_1000;
const BELL_TABLE: u64 = 0xfebd_0000;

#[derive(Default)]
struct Fake {
    config: HashMap<u8, [u8; 256]>,
    /// Size masks of base address registers.
    masks: HashMap<(u8, u8), u32>,
    memory: HashMap<u64, u64>,
    ports: Vec<String>,
    vectors: u8,
    routes: Vec<(u8, Target)>,
    confined: Vec<u8>,
    /// Messages are proxied unless the TD asks for something else.
    proxies: bool,
    /// No unit confines devices.
    unprotected: bool,
    resets: u32,
    dies_in_reset: bool,
}

impl Fake {
    fn machine() -> Self {
        let mut fake = Self { vectors: 0x30, ..Self::default() };
        fake.device(EDU, 0x11e8_1234, 0x40);
        fake.bar(EDU, 0x10, 0xfea0_0000, 0xfff0_0000);
        fake.set(EDU, 0x40, &[5, 0, 0x80, 0]); // MSI, 64 bits
        fake.device(BELL, 0x1110_1af4, 0x40);
        fake.bar(BELL, 0x10, 0xfebd_1000, 0xffff_ff00);
        fake.bar(BELL, 0x14, 0xfebd_0000, 0xffff_f000);
        fake.bar(BELL, 0x18, 0xfe80_000c, 0xfff0_000c);
        fake.bar(BELL, 0x1c, 0, 0xffff_ffff);
        fake.set(BELL, 0x40, &[0x11, 0, 47, 0, 1, 0, 0, 0, 1, 8, 0, 0]); // MSI-X, 48 entries in BAR 1
        fake.device(DISK, 0x2922_8086, 0);
        fake.bar(DISK, 0x24, 0xfebd_2000, 0xffff_f000);
        fake
    }

    fn device(&mut self, devfn: u8, id: u32, capabilities: u8) {
        self.config.insert(devfn, [0; 256]);
        self.set(devfn, 0, &id.to_le_bytes());
        self.set(devfn, 4, &[7, 0, if capabilities != 0 { 0x10 } else { 0 }, 0]);
        self.set(devfn, 0x34, &[capabilities]);
        self.set(devfn, 0x3c, &[11, 1]);
    }

    fn bar(&mut self, devfn: u8, offset: u8, value: u32, mask: u32) {
        self.set(devfn, offset, &value.to_le_bytes());
        self.masks.insert((devfn, offset), mask);
    }

    /// A disk with a capability of PCI Express that can be reset.
    fn nvme(&mut self) {
        self.device(NVME, 0x0010_1b36, 0x80);
        self.bar(NVME, 0x10, 0xfebd_4004, 0xffff_c004);
        self.bar(NVME, 0x14, 0, 0xffff_ffff);
        self.set(NVME, EXPRESS, &[0x10, 0x40, 2, 0, 0, 0, 0, 0x10]);
        self.set(NVME, 0x40, &[0x11, 0, 64, 0, 0, 0x20, 0, 0, 0, 0x30, 0, 0]);
    }

    fn reset(&mut self, devfn: u8) {
        self.resets += 1;
        assert_eq!(self.config[&devfn][4] & 4, 0, "a device is stopped before it is reset");
        self.set(devfn, 4, &[0, 0]);
        self.set(devfn, 0x10, &[0; 24]);
        self.set(devfn, EXPRESS + 8, &[0, 0]);
        if self.dies_in_reset {
            self.set(devfn, 0, &[0xff; 4]);
        }
    }

    fn set(&mut self, devfn: u8, offset: u8, bytes: &[u8]) {
        let at = usize::from(offset);
        self.config.get_mut(&devfn).unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl Platform for Fake {
    fn config_read(&mut self, devfn: u8, offset: u8, size: u8) -> u32 {
        let Some(space) = self.config.get(&devfn) else { return u32::MAX };
        (0..size).rev().fold(0, |value, byte| {
            value << 8 | u32::from(space[usize::from(offset) + usize::from(byte)])
        })
    }

    fn config_write(&mut self, devfn: u8, offset: u8, size: u8, value: u32) {
        let in_bars = (0x10..0x28).contains(&offset);
        let mask = self.masks.get(&(devfn, offset)).copied().unwrap_or(0);
        // The upper half of an address has no flags.
        let flags = if mask == u32::MAX { 0 } else { mask & 0xf };
        let value = if in_bars { value & mask | flags } else { value };
        let bytes = value.to_le_bytes();
        self.set(devfn, offset, &bytes[..usize::from(size)]);
        if offset == EXPRESS + 8 && value >> 15 == 1 && self.config[&devfn][0x80] == 0x10 {
            self.reset(devfn);
        }
    }

    fn memory_read(&mut self, hpa: u64, _size: u8) -> u64 {
        self.memory.get(&hpa).copied().unwrap_or(0)
    }

    fn memory_write(&mut self, hpa: u64, _size: u8, value: u64) {
        self.memory.insert(hpa, value);
    }

    fn port_read(&mut self, port: u16, size: u8) -> u32 {
        self.ports.push(format!("in {port:x} {size}"));
        0x5a
    }

    fn port_write(&mut self, port: u16, size: u8, value: u32) {
        self.ports.push(format!("out {port:x} {size} = {value:x}"));
    }

    fn confine(&mut self, devfn: u8) -> bool {
        self.confined.push(devfn);
        !self.unprotected
    }

    fn allocate_vector(&mut self, _source: Source) -> Option<u8> {
        self.vectors += 1;
        (self.vectors < 0xf0).then_some(self.vectors - 1)
    }

    fn usual_way(&self) -> Way {
        if self.proxies { Way::Proxied } else { Way::Posted }
    }

    fn route(&mut self, vector: u8, target: Target) -> Option<PhysicalMessage> {
        if target.cpu >= 2 {
            return None;
        }
        self.routes.push((vector, target));
        let address = 0xfee0_0000 | u32::try_from(target.cpu).unwrap() << 12;
        Some(PhysicalMessage { address, data: u32::from(vector) })
    }
}

struct Td {
    machine: Fake,
    pci: Pci,
}

impl Td {
    fn new() -> Self {
        let wanted = [(0x1234, 0x11e8), (0x1af4, 0x1110)];
        let wanted = wanted.map(|(vendor, device)| PciId { vendor, device });
        let mut machine = Fake::machine();
        let pci = Pci::scan(&wanted, &mut machine);
        Self { machine, pci }
    }

    fn read(&mut self, devfn: u8, offset: u8, size: u8) -> u32 {
        let port = self.select(devfn, offset);
        self.pci.port_read(port, size, &mut self.machine)
    }

    fn write(&mut self, devfn: u8, offset: u8, size: u8, value: u32) {
        let port = self.select(devfn, offset);
        self.pci.port_write(port, size, value, &mut self.machine);
    }

    fn select(&mut self, devfn: u8, offset: u8) -> u16 {
        let address = 1 << 31 | u32::from(devfn) << 8 | u32::from(offset & !3);
        self.pci.port_write(ADDRESS, 4, address, &mut self.machine);
        DATA + u16::from(offset & 3)
    }

    fn table_write(&mut self, entry: u64, field: u64, value: u64) {
        let gpa = BELL_TABLE + entry * 16 + field;
        self.pci.memory_write(gpa, 4, value, &mut self.machine).unwrap();
    }
}

#[test]
fn only_the_wanted_devices_exist() {
    let mut td = Td::new();
    assert_eq!(td.read(EDU, 0, 4), 0x11e8_1234);
    assert_eq!(td.read(BELL, 2, 2), 0x1110);
    assert_eq!(td.read(DISK, 0, 4), u32::MAX);
    td.write(DISK, 4, 2, 0);
    assert_eq!(td.machine.config[&DISK][4], 3, "it masters the bus no more");
    assert_eq!(td.pci.devices().count(), 2);
}

#[test]
fn memory_can_be_sized_but_not_moved() {
    let mut td = Td::new();
    td.write(EDU, 0x10, 4, u32::MAX);
    assert_eq!(td.read(EDU, 0x10, 4), 0xfff0_0000);
    td.write(EDU, 0x10, 4, 0xfea0_0000);
    assert_eq!(td.read(EDU, 0x10, 4), 0xfea0_0000);
    td.write(EDU, 0x10, 4, 0x1000_0000);
    assert_eq!(td.read(EDU, 0x10, 4), 0xfea0_0000);
    assert_eq!(td.machine.config_read(EDU, 0x10, 4), 0xfea0_0000);
}

#[test]
fn a_wide_register_is_one_region() {
    let td = Td::new();
    let (_, _, _, regions) = td.pci.devices().nth(1).unwrap();
    let regions: Vec<_> = regions.map(|region| (region.bar, region.hpa, region.size)).collect();
    assert_eq!(
        regions,
        [(0, BELL_REGISTERS, 0x100), (1, BELL_TABLE, 0x1000), (2, 0xfe80_0000, 0x10_0000)]
    );
}

#[test]
fn table_pages_are_trapped_and_the_rest_is_mapped() {
    let td = Td::new();
    let pages: Vec<_> = td.pci.pages().collect();
    assert!(pages.contains(&EDU_MEMORY) && pages.contains(&BELL_REGISTERS));
    assert!(!pages.contains(&BELL_TABLE));
    assert_eq!(pages.len(), 256 + 1 + 256);
}

#[test]
fn a_page_shared_with_a_foreign_device_is_not_mapped() {
    let mut machine = Fake::machine();
    machine.bar(DISK, 0x24, 0xfebd_1800, 0xffff_f800);
    let bell = [PciId { vendor: 0x1af4, device: 0x1110 }];
    let pci = Pci::scan(&bell, &mut machine);
    assert!(!pci.pages().any(|page| page == BELL_REGISTERS));
    machine.memory.insert(BELL_REGISTERS + 8, 77);
    assert_eq!(pci.memory_read(BELL_REGISTERS + 8, 4, &mut machine), Some(77));
    assert_eq!(pci.memory_read(BELL_REGISTERS + 0x100, 4, &mut machine), None);
}

#[test]
fn the_host_s_message_takes_the_place_of_the_td_s_in_msi() {
    let mut td = Td::new();
    td.write(EDU, 0x44, 4, 0xfee0_1000);
    td.write(EDU, 0x48, 4, 0);
    td.write(EDU, 0x4c, 2, 0x41);
    assert!(td.machine.routes.is_empty());
    td.write(EDU, 0x42, 2, 1);
    assert_eq!(td.machine.routes, [(0x30, Target { cpu: 1, vector: 0x41, way: Way::Posted })]);
    assert_eq!(td.machine.config_read(EDU, 0x42, 2), 1);
    assert_eq!(td.machine.config_read(EDU, 0x4c, 2), 0x30);
    assert_eq!((td.read(EDU, 0x4c, 2), td.read(EDU, 0x44, 4)), (0x41, 0xfee0_1000));
    assert_eq!(td.read(EDU, 0x40, 4), 0x0081_0005);
    td.write(EDU, 0x42, 2, 0);
    assert_eq!(td.machine.config_read(EDU, 0x42, 2), 0);
}

#[test]
fn moving_an_msi_keeps_its_physical_vector() {
    let mut td = Td::new();
    for (offset, value) in [(0x44, 0xfee0_0000), (0x4c, 0x40), (0x40, 1 << 16)] {
        td.write(EDU, offset, 4, value);
    }
    td.write(EDU, 0x44, 4, 0xfee0_1000);
    let vectors: Vec<_> =
        td.machine.routes.iter().map(|(vector, target)| (*vector, target.cpu)).collect();
    assert_eq!(vectors, [(0x30, 0), (0x30, 1)]);
    assert_eq!(td.machine.config_read(EDU, 0x44, 4), 0xfee0_1000);
}

#[test]
fn an_msix_entry_is_live_only_while_unmasked() {
    let mut td = Td::new();
    td.table_write(3, 0, 0xfee0_0000);
    td.table_write(3, 8, 0x45);
    assert!(td.machine.routes.is_empty());
    td.table_write(3, 12, 0);
    assert_eq!(td.machine.routes, [(0x30, Target { cpu: 0, vector: 0x45, way: Way::Posted })]);
    let at = BELL_TABLE + 3 * 16;
    assert_eq!([0, 8, 12].map(|field| td.machine.memory[&(at + field)]), [0xfee0_0000, 0x30, 0]);
    assert_eq!(td.pci.memory_read(at + 8, 4, &mut td.machine), Some(0x45));
    td.table_write(3, 12, 1);
    assert_eq!(td.machine.memory[&(at + 12)], 1);
    assert_eq!(td.pci.memory_read(at + 8, 8, &mut td.machine), Some(0x1_0000_0045));
}

#[test]
fn an_entry_that_cannot_be_posted_stays_masked() {
    let mut td = Td::new();
    td.table_write(0, 0, 0xfee0_7000);
    td.table_write(0, 8, 0x45);
    td.table_write(0, 12, 0);
    assert!(td.machine.routes.is_empty());
    assert_eq!(td.machine.memory[&(BELL_TABLE + 12)], 1);
}

#[test]
fn msix_enable_and_function_mask_reach_the_device() {
    let mut td = Td::new();
    td.write(BELL, 0x42, 2, 0xc000);
    assert_eq!(td.machine.config[&BELL][0x43], 0xc0);
    assert_eq!(td.read(BELL, 0x42, 2), 0xc02f);
}

#[test]
fn the_rest_of_configuration_space_is_read_only() {
    let mut td = Td::new();
    td.write(EDU, 0x04, 2, 0xffff);
    assert_eq!(td.machine.config_read(EDU, 4, 2), 0x406);
    assert_eq!(td.read(EDU, 4, 2), 0x406);
    assert_eq!((td.read(EDU, 0x30, 4), td.read(EDU, 0x3c, 2)), (0, 0x100));
    td.write(EDU, 0x80, 4, 0xffff_ffff);
    assert_eq!(td.read(EDU, 0x80, 4), 0);
    assert_eq!(td.read(EDU, 0x43, 2), u32::MAX); // crosses a double word
}

#[test]
fn a_device_decodes_memory_whatever_the_td_reads_back() {
    let mut td = Td::new();
    for (written, device) in [(0, 2), (0x402, 0x402), (4, 6), (0x406, 0x406)] {
        td.write(EDU, 4, 2, written);
        assert_eq!((td.machine.config_read(EDU, 4, 2), td.read(EDU, 4, 2)), (device, written));
    }
}

/// A serial port on a card, which has ports and nothing else.
fn serial() -> Td {
    let mut machine = Fake::machine();
    machine.device(SERIAL, 0x0002_1b36, 0);
    machine.bar(SERIAL, 0x10, 0xc041, 0xffff_fff9);
    let pci = Pci::scan(&[PciId { vendor: 0x1b36, device: 2 }], &mut machine);
    Td { machine, pci }
}

#[test]
fn ports_can_be_sized_but_not_moved_and_are_the_td_s_while_it_decodes_them() {
    let mut td = serial();
    assert_eq!((td.read(SERIAL, 4, 2), td.pci.pages().count()), (0x403, 0));
    td.write(SERIAL, 0x10, 4, u32::MAX);
    assert_eq!(td.read(SERIAL, 0x10, 4), 0xffff_fff9);
    td.write(SERIAL, 0x10, 4, 0xc081);
    assert_eq!(td.read(SERIAL, 0x10, 4), 0xc041);
    assert_eq!(td.pci.device_port_read(0xc045, 1, &mut td.machine), Some(0x5a));
    assert_eq!(td.pci.device_port_write(0xc044, 4, 7, &mut td.machine), Some(()));
    for (port, size) in [(0xc03f, 1), (0xc03f, 2), (0xc048, 1), (0xc046, 4), (0xcf8, 4), (0x64, 1)]
    {
        assert_eq!(td.pci.device_port_read(port, size, &mut td.machine), None, "{port:#x}");
    }
    td.write(SERIAL, 4, 2, 0x400);
    assert_eq!((td.machine.config_read(SERIAL, 4, 2), td.read(SERIAL, 4, 2)), (0x403, 0x400));
    assert_eq!(td.pci.device_port_read(0xc045, 1, &mut td.machine), None);
    assert_eq!(td.pci.device_port_write(0xc045, 1, 7, &mut td.machine), None);
    assert_eq!(td.machine.ports, ["in c045 1", "out c044 4 = 7"]);
}

#[test]
fn a_pin_is_silent_until_the_td_lets_it_interrupt_and_its_line_is_the_td_s() {
    let mut td = Td::new();
    assert_eq!(td.machine.config_read(EDU, 4, 2) & 0x400, 0x400);
    td.write(EDU, 5, 1, 0);
    assert_eq!(td.machine.config_read(EDU, 4, 2) & 0x400, 0);
    assert_eq!(td.pci.lines(&mut td.machine), 1 << 22 | 1 << 23, "devices 2 and 3");
}

#[test]
fn a_device_that_can_be_reset_is_handed_over_reset() {
    let mut machine = Fake::machine();
    machine.nvme();
    let wanted = [PciId { vendor: 0x1b36, device: 0x0010 }];
    let pci = Pci::scan(&wanted, &mut machine);
    assert_eq!((machine.resets, &*machine.confined), (1, &[NVME][..]));
    let (_, _, handed_over, regions) = pci.devices().next().unwrap();
    assert_eq!(handed_over, HandedOver::Reset);
    let regions: Vec<_> = regions.map(|region| (region.bar, region.hpa, region.size)).collect();
    assert_eq!(regions, [(0, 0xfebd_4000, 0x4000)]);
    // Addresses and decoding are back, bus mastering is not.
    assert_eq!(machine.config_read(NVME, 0x10, 4), 0xfebd_4004);
    assert_eq!(machine.config_read(NVME, 4, 2), 0x403);
    let pages: Vec<_> = pci.pages().collect();
    assert_eq!(pages, [0xfebd_4000, 0xfebd_5000, 0xfebd_7000], "the table's page is trapped");
}

#[test]
fn a_device_lost_in_its_reset_is_not_given() {
    let mut machine = Fake { dies_in_reset: true, ..Fake::machine() };
    machine.nvme();
    let wanted = [PciId { vendor: 0x1b36, device: 0x0010 }];
    let pci = Pci::scan(&wanted, &mut machine);
    assert_eq!((machine.resets, pci.devices().count()), (1, 0));
}

#[test]
fn only_a_confined_device_masters_the_bus() {
    let mut td = Td::new();
    td.write(EDU, 4, 2, 6);
    assert_eq!((td.machine.config_read(EDU, 4, 2), td.read(EDU, 4, 2)), (6, 6));
    let mut machine = Fake { unprotected: true, ..Fake::machine() };
    let wanted = [PciId { vendor: 0x1234, device: 0x11e8 }];
    let mut td = Td { pci: Pci::scan(&wanted, &mut machine), machine };
    td.write(EDU, 4, 2, 6);
    assert_eq!((td.machine.config_read(EDU, 4, 2), td.read(EDU, 4, 2)), (2, 2));
}

/// Sends the message of entry 3 of the doorbell elsewhere.
fn redirect(td: &mut Td, address: u64, data: u32, target: Target) -> bool {
    td.pci.redirect(BELL, Message { address, data }, target, &mut td.machine)
}

#[test]
fn a_message_is_redirected_until_another_one_is_written() {
    let mut td = Td::new();
    td.machine.proxies = true;
    for (field, value) in [(0, 0xfee0_0000), (8, 0x83)] {
        td.table_write(3, field, value);
    }
    let posted = Target { cpu: 1, vector: 0x41, way: Way::Posted };
    assert!(!redirect(&mut td, 0xfee0_0000, 0x84, posted), "no entry has this message");
    assert!(!redirect(&mut td, 0, 0, posted), "entries that nobody wrote are none");
    assert!(redirect(&mut td, 0xfee0_0000, 0x83, posted), "masked or not");
    td.table_write(3, 12, 0);
    let proxied = Target { cpu: 0, vector: 0x61, way: Way::Proxied };
    assert!(redirect(&mut td, 0xfee0_0000, 0x83, proxied));
    let nowhere = Target { cpu: 7, ..posted };
    assert!(!redirect(&mut td, 0xfee0_0000, 0x83, nowhere), "what fails changes nothing");
    for value in [1, 0] {
        td.table_write(3, 12, value);
    }
    td.table_write(3, 8, 0x85);
    let written = Target { cpu: 0, vector: 0x85, way: Way::Proxied };
    let wanted = [posted, posted, proxied, proxied, written].map(|target| (0x30, target));
    assert_eq!(td.machine.routes, wanted);
    assert_eq!(td.read(BELL, 0, 4), 0x1110_1af4);
}
