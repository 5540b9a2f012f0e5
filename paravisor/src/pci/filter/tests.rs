// SPDX-License-Identifier: MIT OR Apache-2.0
//! The filter over a real device's configuration space, and over spaces made to deceive.

use super::{Action, Filter};
use crate::{
    intx::Pin,
    pci::{capability::Id, ports::Ports},
};
use alloc::vec::Vec;

const NVME: &str = include_str!("qemu-nvme.txt");

/// The 256 bytes of a dump.
fn space(dump: &str) -> Vec<u8> {
    let rows = dump.lines().filter(|line| !line.starts_with('#'));
    let bytes = rows.flat_map(|row| row.split_once(": ").unwrap().1.split(' '));
    let bytes: Vec<u8> = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    assert_eq!(bytes.len(), 256);
    bytes
}

fn get(space: &[u8], offset: u8, size: u8) -> u32 {
    let at = usize::from(offset);
    space[at..at + usize::from(size)].iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte))
}

fn filter(space: &[u8]) -> Filter {
    Filter::discover(|offset, size| get(space, offset, size), None).unwrap()
}

fn nvme() -> (Filter, Vec<u8>) {
    let space = space(NVME);
    (filter(&space), space)
}

fn read(filter: &Filter, space: &[u8], register: u8) -> u32 {
    filter.read(register, || get(space, register, 4))
}

#[test]
fn a_driver_finds_the_controller() {
    let (filter, space) = nvme();
    let read = |register| read(&filter, &space, register);
    assert_eq!(read(0x00), 0x0010_1b36);
    assert_eq!(read(0x08), 0x0108_0202);
    assert_eq!(read(0x0c), 0);
    assert_eq!(read(0x10), 0xfebd_4004);
    assert_eq!(read(0x2c), 0x1100_1af4);
    assert_eq!(read(0x30), 0, "no expansion ROM");
    assert_eq!(read(0x3c), 0, "no pin, although the device has one");
    assert_eq!(get(&space, 0x3d, 1), 1);
}

#[test]
fn a_pin_whose_line_is_known_is_l2_s_to_switch() {
    let space = space(NVME);
    let look = |offset, size| get(&space, offset, size);
    let mut filter = Filter::discover(look, Some(Pin::A)).unwrap();
    assert_eq!(read(&filter, &space, 0x3c), 0x0100, "the pin; which line is said by ACPI");
    assert_eq!(read(&filter, &space, 0x04) & 0xffff, 0x0406, "as the host has left it");
    let write = |value| Action::Write { offset: 0x04, size: 2, value };
    assert_eq!(filter.write(0x04, 2, 0x0006), write(0x0006), "it may interrupt now");
    assert_eq!(filter.write(0x04, 2, 0x0406), write(0x0406));
    assert_eq!(filter.write(0x3c, 1, 0x0b), Action::None);
}

#[test]
fn the_list_holds_what_l2_may_use_and_nothing_else_is_readable() {
    let (filter, space) = nvme();
    let mut list = Vec::new();
    let mut at = u8::try_from(read(&filter, &space, 0x34)).unwrap();
    while at != 0 {
        let [id, next, ..] = read(&filter, &space, at).to_le_bytes();
        list.push((at, id));
        at = next;
    }
    assert_eq!(list, [(0x40, 0x11), (0x80, 0x10), (0x60, 0x01)]);
    assert_eq!(filter.capability(Id::MSIX), Some(0x40));
    assert_eq!(filter.capability(Id::MSI), None);
    for register in (0x68..0x80).chain(0xbc..=0xff).step_by(4) {
        assert_eq!(filter.read(register, || panic!("not L2's: {register:#x}")), 0);
    }
}

#[test]
fn of_the_command_l2_has_memory_mastering_and_the_pin_switch() {
    let (mut filter, space) = nvme();
    assert_eq!(get(&space, 0x04, 2), 0x0507);
    assert_eq!(read(&filter, &space, 0x04), 0x0010_0006, "no ports; there is a list");
    let write = Action::Write { offset: 0x04, size: 2, value: 0x0402 };
    assert_eq!(filter.write(0x04, 2, 0x0143), write, "the device's pin stays off");
    assert_eq!(read(&filter, &space, 0x04) & 0xffff, 0x0002);
    assert_eq!(
        filter.write(0x04, 4, 0xffff_0406),
        Action::Write { offset: 4, size: 2, value: 0x0406 }
    );
    assert_eq!(read(&filter, &space, 0x04) & 0xffff, 0x0406);
    assert_eq!(filter.write(0x06, 2, 0xffff), Action::None, "status");
}

#[test]
fn base_addresses_are_written_by_dwords_and_ports_that_are_unknown_are_hidden() {
    let (mut filter, mut space) = nvme();
    let write = Action::Write { offset: 0x10, size: 4, value: 0xffff_ffff };
    assert_eq!(filter.write(0x10, 4, 0xffff_ffff), write);
    assert_eq!(filter.write(0x10, 2, 0xffff), Action::None);
    space[0x18] = 0x01;
    space[0x14] = 0x01;
    let mut filter = self::filter(&space);
    assert_eq!(read(&filter, &space, 0x14), 1, "the upper half of a wide one, not a port");
    assert_eq!(read(&filter, &space, 0x18), 0);
    assert_eq!(filter.write(0x18, 4, 0xffff_ffff), Action::None);
}

#[test]
fn ports_are_l2_s_to_place_and_to_switch() {
    let (_, mut space) = nvme();
    space[0x18] = 0x01;
    let mut filter = filter(&space);
    assert_eq!(filter.port_registers(), [0x18]);
    filter.give_ports(0x14, Ports::new(0xd001, 0xffff_fff1).unwrap());
    filter.give_ports(0x18, Ports::new(0xc041, 0xffff_fff9).unwrap());
    assert_eq!(read(&filter, &space, 0x14), 0, "still the upper half of a wide one");
    assert_eq!(read(&filter, &space, 0x18), 0xc041);
    assert_eq!(read(&filter, &space, 0x04) & 0xffff, 0x0007, "as the host has left it");
    assert_eq!(filter.port_at_host(0xc041, 1), Some(0xc041));
    assert_eq!(filter.port_at_host(0xd001, 1), None);
    let write = |value| Action::Write { offset: 4, size: 2, value };
    assert_eq!(filter.write(0x04, 1, 0x06), write(0x0406));
    assert_eq!(filter.port_at_host(0xc041, 1), None, "it does not decode ports");
    assert_eq!(filter.write(0x04, 2, 0x0001), write(0x0401));
    assert_eq!(filter.write(0x18, 4, 0xffff_ffff), Action::None, "the host does not hear of it");
    assert_eq!(read(&filter, &space, 0x18), 0xffff_fff9);
    assert_eq!(filter.write(0x18, 2, 0x2000), Action::None);
    assert_eq!(read(&filter, &space, 0x18), 0xffff_fff9, "by dwords");
    assert_eq!(filter.write(0x18, 4, 0x2000), Action::None);
    assert_eq!(filter.port_at_host(0x2007, 1), Some(0xc047));
}

#[test]
fn the_rest_of_the_header_takes_no_writes() {
    let (mut filter, _) = nvme();
    for register in [0x00, 0x08, 0x0c, 0x28, 0x2c, 0x30, 0x34, 0x38, 0x3c] {
        assert_eq!(filter.write(register, 4, 0xffff_ffff), Action::None, "{register:#x}");
    }
}

#[test]
fn the_power_state_is_a_word_between_l1_and_l2() {
    let (mut filter, space) = nvme();
    assert_eq!(read(&filter, &space, 0x60), 0x0003_0001);
    assert_eq!(read(&filter, &space, 0x64), 0x0008, "nothing is lost on the way back");
    assert_eq!(filter.write(0x64, 2, 0x8103), Action::None);
    assert_eq!(read(&filter, &space, 0x64), 0x000b, "D3, without PME");
    assert_eq!(filter.write(0x64, 2, 0), Action::None);
    assert_eq!(read(&filter, &space, 0x64), 0x0008);
}

#[test]
fn a_function_cannot_be_reset_through_express() {
    let (mut filter, space) = nvme();
    assert_eq!(get(&space, 0x84, 4), 0x1000_8020);
    assert_eq!(read(&filter, &space, 0x84), 0x0000_8020);
    let change = Action::Change { offset: 0x88, bits: 0x78f0, value: 0x2810 };
    assert_eq!(filter.write(0x88, 2, 0xa81f), change);
    assert_eq!(
        filter.write(0x89, 1, 0x80),
        Action::Change { offset: 0x88, bits: 0x7800, value: 0 }
    );
    assert_eq!(filter.write(0x8a, 2, 0xffff), Action::None, "device status");
    assert_eq!(filter.write(0x90, 2, 0xffff), Action::None, "link control");
}

#[test]
fn a_bridge_is_nothing_for_l2() {
    let mut space = space(NVME);
    space[0x0e] = 0x81;
    assert!(Filter::discover(|offset, size| get(&space, offset, size), None).is_none());
    space[0x0e] = 0x80;
    assert!(filter(&space).has_siblings());
    space[0x08..0x0c].copy_from_slice(&[0, 0, 1, 6]);
    assert!(Filter::discover(|offset, size| get(&space, offset, size), None).is_none(), "of ISA");
}

#[test]
fn of_two_capabilities_that_overlap_the_one_that_begins_last_has_the_dword() {
    let mut space = space(NVME);
    space[0x34] = 0x60;
    space[0x60..0x68].copy_from_slice(&[0x01, 0x64, 0xff, 0xff, 0x05, 0, 0, 0]);
    let filter = filter(&space);
    assert_eq!(read(&filter, &space, 0x60), 0x07ff_6401, "no PME");
    assert_eq!(read(&filter, &space, 0x64), 0x0000_0005);
}
