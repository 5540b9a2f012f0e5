// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ISA bridge, beside the devices that the TD was given.

use super::{Fake, Pci, PciId, Td};
use crate::host::pci::isa_bridge::Choice;

const ICH9: u8 = 0x1f << 3;
const PIIX3: u8 = 1 << 3;

/// A machine with a bridge whose every register says where it is.
fn machine(choice: Choice) -> Td {
    let mut td = Td::new();
    let space = core::array::from_fn(|at| u8::try_from(at).unwrap());
    td.machine.config.insert(ICH9, space);
    td.machine.set(ICH9, 0, &0x2918_8086_u32.to_le_bytes());
    assert!(td.pci.show_bridge(choice, &mut td.machine));
    td
}

#[test]
fn a_machine_with_another_bridge_shows_none() {
    let mut td = Td::new();
    td.machine.device(ICH9, 0x1234_5678, 0);
    assert!(td.pci.show_bridge(Choice::Own, &mut td.machine));
    assert_eq!(td.read(ICH9, 0, 4), u32::MAX);
}

#[test]
fn of_the_machine_s_bridge_only_names_and_routes_are_read() {
    let mut td = machine(Choice::Own);
    for offset in (0..=0xfc).step_by(4) {
        let there = td.read(ICH9, offset, 4);
        let wanted = match offset {
            0 => 0x2918_8086,
            8 => 0x0b0a_0908,
            0xc => 0x000e_0000,
            0x60 => 0x6362_6160,
            0x68 => 0x6b6a_6968,
            _ => 0,
        };
        assert_eq!(there, wanted, "{offset:#x}");
    }
    assert_eq!((td.read(ICH9, 0x61, 1), td.read(ICH9, 0x6a, 2)), (0x61, 0x6b6a));
    assert_eq!(td.read(ICH9 + 1, 0, 4), u32::MAX, "other functions are not there");
}

#[test]
fn of_the_machine_s_bridge_only_routes_are_written() {
    let mut td = machine(Choice::Own);
    let before = td.machine.config[&ICH9];
    for offset in (0..=0xfc).step_by(4).filter(|offset| !matches!(offset, 0x60 | 0x68)) {
        td.write(ICH9, offset, 4, u32::MAX);
        td.write(ICH9, offset, 1, 0);
    }
    assert_eq!(td.machine.config[&ICH9], before);
    td.write(ICH9, 0x61, 1, 0xff);
    td.write(ICH9, 0x68, 4, 0x0b0a_8005);
    assert_eq!(td.machine.config[&ICH9][0x60..0x64], [0x60, 0x8f, 0x62, 0x63]);
    assert_eq!(td.machine.config[&ICH9][0x68..0x6c], [0x05, 0x80, 0x0a, 0x0b]);
}

#[test]
fn a_bridge_of_an_i440fx_has_four_registers_of_its_own() {
    let mut td = machine(Choice::Piix3);
    let before = td.machine.config.clone();
    assert_eq!(td.read(PIIX3, 0, 4), 0x7000_8086);
    assert_eq!((td.read(PIIX3, 0xa, 2), td.read(PIIX3, 0xe, 1)), (0x0601, 0x80));
    assert_eq!((td.read(PIIX3, 0x60, 4), td.read(PIIX3, 0x68, 4)), (0x0b0b_0a0a, 0));
    td.write(PIIX3, 0x62, 1, 0xfb);
    td.write(PIIX3, 0x68, 4, u32::MAX);
    td.write(PIIX3, 0, 4, 0);
    assert_eq!((td.read(PIIX3, 0x60, 4), td.read(PIIX3, 0x68, 4)), (0x0b8b_0a0a, 0));
    assert_eq!(td.read(PIIX3, 0, 2), 0x8086);
    assert_eq!(td.read(ICH9, 0, 4), u32::MAX, "the machine's own is not there");
    assert_eq!(td.machine.config, before, "and nothing of the machine was touched");
}

#[test]
fn a_bridge_does_not_hide_a_device() {
    let mut machine = Fake::machine();
    machine.device(PIIX3, 0x11e8_1234, 0);
    let wanted = [PciId { vendor: 0x1234, device: 0x11e8 }];
    let mut pci = Pci::scan(&wanted, &mut machine);
    assert!(!pci.show_bridge(Choice::Piix3, &mut machine));
    assert!(pci.show_bridge(Choice::Own, &mut machine));
}
