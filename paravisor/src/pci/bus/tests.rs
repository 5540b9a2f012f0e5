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
