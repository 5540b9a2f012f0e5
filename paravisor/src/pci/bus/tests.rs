// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports, and what is behind them.

use super::Bus;
use crate::pci::{machine::Machine, model::Model};

type Mapping = <Model as Machine>::Mapping;

fn machine() -> (Bus<Mapping>, Model) {
    let mut model = Model::new(32);
    model.set(0, 0x11e8_1234, 4);
    (Bus::new(), model)
}

#[test]
fn the_address_port_reads_back_and_selects() {
    let (mut bus, mut model) = machine();
    bus.write(&mut model, (0xcf8, 4), 0x8000_1000);
    assert_eq!(bus.read(&mut model, 0xcf8, 4), 0x8000_1000);
    assert_eq!(bus.read(&mut model, 0xcfc, 4), 0x11e8_1234);
    assert_eq!(bus.read(&mut model, 0xcfe, 2), 0x11e8);
    assert_eq!(bus.read(&mut model, 0xcfd, 1), 0x12);
}

#[test]
fn what_is_absent_reads_as_ones_and_takes_no_writes() {
    let (mut bus, mut model) = machine();
    bus.write(&mut model, (0xcf8, 4), 0x8000_1800);
    assert_eq!(bus.read(&mut model, 0xcfc, 2), 0xffff);
    bus.write(&mut model, (0xcfc, 4), 0);
    bus.write(&mut model, (0xcf8, 4), 0x0000_1000);
    assert_eq!(bus.read(&mut model, 0xcfc, 4), 0xffff_ffff, "not enabled");
    assert!(model.take_log().is_empty());
}

#[test]
fn an_access_across_the_dword_reads_as_ones() {
    let (mut bus, mut model) = machine();
    bus.write(&mut model, (0xcf8, 4), 0x8000_1000);
    assert_eq!(bus.read(&mut model, 0xcff, 2), 0xffff);
    assert_eq!(bus.read(&mut model, 0xcfd, 4), 0xffff_ffff);
    assert_eq!(bus.read(&mut model, 0xcf9, 1), 0xff);
}

#[test]
fn the_host_bridge_is_l1_s_own() {
    let (mut bus, mut model) = machine();
    bus.write(&mut model, (0xcf8, 4), 0x8000_0008);
    assert_eq!(bus.read(&mut model, 0xcfe, 2), 0x0600, "the class kernels look for");
    bus.write(&mut model, (0xcfc, 4), 0xffff_ffff);
    assert_eq!(bus.read(&mut model, 0xcfc, 4), 0x0600_0000);
    assert!(model.take_log().is_empty());
}

#[test]
fn the_host_is_asked_once_which_functions_there_are() {
    let (mut bus, mut model) = machine();
    let mut found = 0;
    for bdf in 0..0x1_0000_u32 {
        bus.write(&mut model, (0xcf8, 4), 1 << 31 | bdf << 8);
        if bus.read(&mut model, 0xcfc, 2) != 0xffff {
            found += 1;
        }
        if bdf == 1 {
            assert!(model.asked <= 32 + 20, "asked {} times", model.asked);
            model.asked = 0;
        }
    }
    assert_eq!((found, model.asked), (2, 0));
}

#[test]
fn a_bus_can_have_the_host_bridge_alone() {
    let (mut bus, mut model) = machine();
    bus.hide_functions();
    bus.write(&mut model, (0xcf8, 4), 0x8000_1000);
    assert_eq!(bus.read(&mut model, 0xcfc, 4), 0xffff_ffff);
    bus.write(&mut model, (0xcf8, 4), 0x8000_0000);
    assert_eq!(bus.read(&mut model, 0xcfc, 4), 0x0008_1b36);
    assert_eq!(model.asked, 0);
}

#[test]
fn a_function_that_is_gone_gives_its_mappings_back_and_stays_away() {
    let (mut bus, mut model) = machine();
    // A list of one capability: MSI with 32-bit addresses.
    model.set(0x06, 1 << 4, 2);
    model.set(0x34, 0x50, 1);
    model.set(0x50, 5, 2);
    for (offset, value) in [(0x54, 0xfee0_0000), (0x58, 0x51), (0x50, 0x1_0005)] {
        bus.write(&mut model, (0xcf8, 4), 0x8000_1000 | offset);
        bus.write(&mut model, (0xcfc, 4), value);
    }
    assert!(model.take_log().iter().any(|line| line.starts_with("map 51")));
    assert!(bus.forget_removed(&mut model).is_empty());
    assert!(model.take_log().is_empty(), "a function that is there keeps what it has");
    model.set(0, 0xffff_ffff, 4);
    assert_eq!(bus.forget_removed(&mut model), [crate::pci::model::BDF]);
    assert_eq!(model.take_log(), ["unmap 40"], "the device is not touched");
    model.set(0, 0x11e8_1234, 4);
    bus.write(&mut model, (0xcf8, 4), 0x8000_1000);
    assert_eq!(bus.read(&mut model, 0xcfc, 2), 0xffff);
}

/// A function like a serial port on a card: eight ports, a pin, nothing else.
fn with_ports(found: u32) -> (Bus<Mapping>, Model) {
    let (bus, mut model) = machine();
    model.set(0x04, 0x0003, 2);
    model.set(0x10, found, 4);
    model.masks.insert(0x10, 0xffff_fff9);
    (bus, model)
}

/// Writes the dword at `register` of the function.
fn write(bus: &mut Bus<Mapping>, model: &mut Model, register: u32, value: u32) {
    bus.write(model, (0xcf8, 4), 0x8000_1000 | register);
    bus.write(model, (0xcfc, 4), value);
}

#[test]
fn ports_of_a_function_are_the_host_s_and_no_others_are() {
    let (mut bus, mut model) = with_ports(0xc041);
    assert_eq!(bus.port_read(&mut model, 0xc040, 1), None, "nobody has looked for functions");
    write(&mut bus, &mut model, 0x04, 3);
    model.take_log();
    assert_eq!(bus.port_read(&mut model, 0xc041, 1), Some(0xa5), "no more than was asked for");
    assert_eq!(bus.port_write(&mut model, (0xc044, 4), 0x1234), Some(()));
    assert_eq!(model.take_log(), ["in c041 1", "out c044 4 = 1234"]);
    for (port, size) in [(0xc03f, 2), (0xc048, 1), (0xc046, 4), (0xcf8, 4), (0x3f8, 1), (0xffff, 2)]
    {
        assert_eq!(bus.port_read(&mut model, port, size), None, "{port:#x}");
        assert_eq!(bus.port_write(&mut model, (port, size), 0), None, "{port:#x}");
    }
    assert!(model.take_log().is_empty(), "the host does not hear of them");
    write(&mut bus, &mut model, 0x10, 0x2000);
    write(&mut bus, &mut model, 0x04, 2);
    model.take_log();
    assert_eq!(bus.port_read(&mut model, 0x2001, 1), None, "switched off");
    write(&mut bus, &mut model, 0x04, 1);
    assert_eq!(bus.port_read(&mut model, 0x2001, 1), Some(0xa5));
    assert_eq!(model.take_log(), ["config 04 = 401", "in c041 1"]);
}

#[test]
fn a_host_that_names_its_own_ports_gives_none() {
    for host in [0x3f9, 0xcf9, 0x511] {
        let (mut bus, mut model) = with_ports(host);
        write(&mut bus, &mut model, 0x04, 3);
        write(&mut bus, &mut model, 0x10, 0xc000);
        model.take_log();
        for port in 0..=0xffff {
            assert_eq!(bus.port_read(&mut model, port, 1), None, "{host:#x} {port:#x}");
        }
        assert!(model.take_log().is_empty());
    }
}

#[test]
fn a_function_that_is_gone_has_no_ports() {
    let (mut bus, mut model) = with_ports(0xc041);
    write(&mut bus, &mut model, 0x04, 3);
    model.set(0, 0xffff_ffff, 4);
    bus.forget_removed(&mut model);
    assert_eq!(bus.port_read(&mut model, 0xc041, 1), None);
}
