// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD's view of a device with a few files, and of memory of which three pages are shared.

use core::cell::RefCell;

use super::{FwCfg, Interfaces, Items, MOST, Shared};

/// The first page that is shared.
const WINDOW: u64 = 0x1_0000;
const PAGES: usize = 3;
const END: u64 = WINDOW + 4096 * PAGES as u64;

/// Items, which one is selected, and how far it was read.
struct Machine(Vec<(u16, Vec<u8>)>, u16, usize);

impl Items for Machine {
    fn select(&mut self, item: u16) {
        (self.1, self.2) = (item, 0);
    }

    fn next(&mut self) -> u8 {
        let item = self.0.iter().find(|(number, _)| *number == self.1);
        self.2 += 1;
        item.and_then(|(_, bytes)| bytes.get(self.2 - 1).copied()).unwrap_or(0)
    }
}

/// Memory and the number of accesses to it.
struct Memory(RefCell<Vec<u8>>);

impl Shared for Memory {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Option<()> {
        let at = usize::try_from(gpa.checked_sub(WINDOW)?).ok()?;
        bytes.copy_from_slice(self.0.borrow().get(at..at + bytes.len())?);
        Some(())
    }

    fn write(&self, gpa: u64, bytes: &[u8]) -> Option<()> {
        let at = usize::try_from(gpa.checked_sub(WINDOW)?).ok()?;
        self.0.borrow_mut().get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        Some(())
    }
}

fn entry(length: usize, item: u16, name: &str) -> Vec<u8> {
    let mut entry = u32::try_from(length).unwrap().to_be_bytes().to_vec();
    entry.extend(item.to_be_bytes());
    entry.extend([0; 2]);
    entry.extend(name.as_bytes());
    entry.resize(64, 0);
    entry
}

fn device(names: &[(&str, &[u8])], interfaces: Interfaces) -> FwCfg<Machine> {
    let mut directory = u32::try_from(names.len()).unwrap().to_be_bytes().to_vec();
    let mut items = vec![(0, b"QEMU".to_vec()), (1, vec![1, 0, 0, 0])];
    for (item, (name, bytes)) in (0x20..).zip(names) {
        directory.extend(entry(bytes.len(), item, name));
        items.push((item, bytes.to_vec()));
    }
    items.push((0x19, directory));
    FwCfg::new(Machine(items, 0, 0), interfaces)
}

/// A TD at the device.
struct Td {
    device: FwCfg<Machine>,
    memory: Memory,
}

impl Td {
    fn new(names: &[(&str, &[u8])]) -> Self {
        let memory = Memory(RefCell::new(vec![0xee; 4096 * PAGES]));
        Self { device: device(names, Interfaces::Both), memory }
    }

    fn select(&mut self, item: u16) {
        self.device.port_write((0x510, 2), item.into(), &self.memory).unwrap();
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut next = || u8::try_from(self.device.port_read(0x511, 1).unwrap()).unwrap();
        (0..count).map(|_| next()).collect()
    }

    /// Makes a request that lies at the begin of the window, and returns what is answered.
    fn request(&mut self, control: u32, length: u32, address: u64) -> u32 {
        let request = [&control.to_be_bytes()[..], &length.to_be_bytes(), &address.to_be_bytes()];
        self.memory.write(WINDOW, &request.concat()).unwrap();
        self.start(WINDOW);
        let mut answer = [0; 4];
        self.memory.read(WINDOW, &mut answer).unwrap();
        u32::from_be_bytes(answer)
    }

    fn start(&mut self, gpa: u64) {
        let [high, low] = [gpa >> 32, gpa & 0xffff_ffff];
        let value = |half: u64| u32::try_from(half).unwrap().swap_bytes();
        self.device.port_write((0x514, 4), value(high), &self.memory).unwrap();
        self.device.port_write((0x518, 4), value(low), &self.memory).unwrap();
    }

    fn at(&self, gpa: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.memory.read(gpa, &mut bytes).unwrap();
        bytes
    }
}

const TABLES: &str = "etc/acpi/tables";
const OTHER: &str = "opt/org.lychgate/acpi/tables";

#[test]
fn items_come_byte_by_byte_as_the_machine_has_them() {
    let mut td = Td::new(&[(TABLES, b"DSDT")]);
    td.select(0);
    assert_eq!(td.bytes(6), b"QEMU\0\0");
    td.select(0x20);
    assert_eq!(td.bytes(4), b"DSDT");
    td.select(1);
    assert_eq!(td.bytes(5), [3, 0, 0, 0, 0], "there are requests, whatever the machine says");
    td.select(0x20);
    assert_eq!(td.bytes(2), b"DS");
}

#[test]
fn a_file_is_shown_under_the_name_of_another() {
    let others = [(OTHER, &b"other!"[..]), (TABLES, b"DSDT"), ("etc/acpi/rsdp", b"RSD")];
    let mut td = Td::new(&others);
    assert_eq!(td.device.substitutes(), 1);
    td.select(0x19);
    let directory = td.bytes(4 + 3 * 64);
    let entries: Vec<_> = directory[4..].chunks(64).map(<[u8]>::to_vec).collect();
    assert_eq!(directory[..4], [0, 0, 0, 3]);
    let wanted = [entry(6, 0x20, OTHER), entry(6, 0x20, TABLES), entry(3, 0x22, "etc/acpi/rsdp")];
    assert_eq!(entries, wanted);
}

#[test]
fn a_name_is_compared_to_its_end() {
    assert_eq!(Td::new(&[("etc/acpi/tables2", b"a"), (OTHER, b"b")]).device.substitutes(), 0);
    let longer = format!("{OTHER}2");
    assert_eq!(Td::new(&[(TABLES, b"a"), (&longer, b"b")]).device.substitutes(), 0);
    assert_eq!(Td::new(&[(OTHER, b"a")]).device.substitutes(), 0, "there is nothing to replace");
}

#[test]
fn a_request_selects_and_reads_over_pages() {
    let file: Vec<u8> = (0..5000_u16).map(|index| index.to_le_bytes()[0] ^ 0x55).collect();
    let mut td = Td::new(&[(TABLES, &file)]);
    let to = WINDOW + 0x400;
    assert_eq!(td.request(0x20 << 16 | 8 | 2, 5000, to), 0);
    assert_eq!(td.at(to, 5000), file);
    assert_eq!(td.at(to + 5000, 1), [0xee], "no byte more");
    assert_eq!(td.request(2, 4, to), 0);
    assert_eq!(td.at(to, 4), [0; 4], "behind the end there are zeros");
}

#[test]
fn a_request_skips() {
    let mut td = Td::new(&[(TABLES, b"0123456789")]);
    assert_eq!(td.request(0x20 << 16 | 8 | 4, 3, 0), 0);
    assert_eq!(td.request(2, 2, WINDOW + 64), 0);
    assert_eq!(td.at(WINDOW + 64, 2), b"34");
    assert_eq!(td.bytes(1), b"5", "the port goes on there");
}

#[test]
fn what_is_not_shared_is_not_reached() {
    let mut td = Td::new(&[(TABLES, &[0xaa; 64])]);
    let read = 0x20 << 16 | 8 | 2;
    assert_eq!(td.request(read, 64, WINDOW - 64), 1);
    assert_eq!(td.request(read, 64, END - 32), 1);
    assert_eq!(td.request(read, 64, u64::MAX - 8), 1);
    assert_eq!(td.request(read, MOST + 1, WINDOW + 64), 1);
    let before = td.memory.0.borrow().clone();
    td.start(WINDOW - 16);
    td.start(END - 8);
    td.start(u64::MAX - 4);
    assert_eq!(*td.memory.0.borrow(), before, "a request that cannot be read has no answer");
}

#[test]
fn nothing_is_written_and_nothing_is_no_failure() {
    let mut td = Td::new(&[(TABLES, b"DSDT")]);
    assert_eq!(td.request(0x20 << 16 | 8 | 16, 4, WINDOW + 64), 1);
    td.select(0x20);
    assert_eq!(td.bytes(4), b"DSDT");
    assert_eq!(td.request(0x20 << 16 | 8, 4, WINDOW + 64), 0);
    assert_eq!(td.request(4, MOST + 1, 0), 1);
}

#[test]
fn the_ports_have_their_sizes() {
    let mut td = Td::new(&[]);
    assert_eq!(td.device.port_read(0x514, 4), Some(u32::from_le_bytes(*b"QEMU")));
    assert_eq!(td.device.port_read(0x518, 4), Some(u32::from_le_bytes(*b" CFG")));
    for (port, size) in [(0x510, 2), (0x511, 2), (0x511, 4), (0x514, 1), (0x518, 2), (0x516, 4)] {
        assert_eq!(td.device.port_read(port, size), None, "{port:#x} {size}");
    }
    for (port, size) in [(0x510, 1), (0x511, 1), (0x514, 2), (0x51a, 4)] {
        assert_eq!(td.device.port_write((port, size), 0, &td.memory), None, "{port:#x} {size}");
    }
}

#[test]
fn a_device_without_requests_does_not_say_that_it_has_some() {
    let mut td = Td::new(&[]);
    td.device = device(&[], Interfaces::Ports);
    td.select(1);
    assert_eq!(td.bytes(4), [1, 0, 0, 0]);
    assert_eq!(td.device.port_read(0x514, 4), None);
    assert_eq!(td.device.port_write((0x518, 4), 0, &td.memory), None);
}

#[test]
fn a_directory_without_end_is_cut() {
    let machine = Machine(vec![(0x19, vec![0xff; 4])], 0, 0);
    let mut device = FwCfg::new(machine, Interfaces::Both);
    device.select(0x19);
    assert_eq!([(); 4].map(|()| device.next()), [0, 0, 4, 0]);
}
