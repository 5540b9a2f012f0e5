// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order in which table, device and mappings change.

use super::{Place, Table};
use crate::pci::{
    machine::Source,
    message::Target,
    model::{BDF, Model},
};
use proxy_irq::L2Vector;

const PLACE: Place = Place { gpa: 0x1000, source: Source { bdf: BDF, entry: 0 }, enabled: true };
type Mapping = <Model as crate::pci::machine::Machine>::Mapping;

/// Writes the dword at `offset`.
fn write(table: &mut Table<Mapping>, model: &mut Model, offset: u64, value: u32) {
    table.write(model, PLACE, (offset, 4), value.into());
}

fn program(table: &mut Table<Mapping>, model: &mut Model, entry: u64, address: u32, data: u32) {
    for (offset, value) in [(12, 1), (0, address), (4, 0), (8, data), (12, 0)] {
        write(table, model, entry * 16 + offset, value);
    }
}

#[test]
fn an_unmasked_entry_is_mapped_before_the_device_hears_of_it() {
    let (mut table, mut model) = (Table::new(2), Model::new(32));
    write(&mut table, &mut model, 16, 0xfee0_1000);
    write(&mut table, &mut model, 24, 0x51);
    model.take_log();
    write(&mut table, &mut model, 28, 0);
    let expected = [
        "map 51 cpu 1 entry 1 -> 40",
        "write 101c = 1",
        "write 1010 = fee01000",
        "write 1014 = 0",
        "write 1018 = 40",
        "write 101c = 0",
    ];
    assert_eq!(model.take_log(), expected);
}

#[test]
fn l2_reads_what_it_wrote() {
    let (mut table, mut model) = (Table::new(2), Model::new(32));
    assert_eq!(table.read(12, 4), 1, "masked after reset");
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    assert_eq!(table.read(0, 8), 0xfee0_0000);
    assert_eq!(table.read(8, 4), 0x51);
    assert_eq!(table.read(12, 4), 0);
    assert_eq!(table.read(2, 2), 0, "no meaning");
    assert_eq!(table.read(1 << 20, 4), 0, "no entry");
}

#[test]
fn a_mask_keeps_the_mapping_and_the_same_message_finds_it_again() {
    let (mut table, mut model) = (Table::new(1), Model::new(32));
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    model.take_log();
    write(&mut table, &mut model, 12, 1);
    write(&mut table, &mut model, 12, 0);
    assert_eq!(model.take_log(), ["write 100c = 1", "write 100c = 0"]);
}

#[test]
fn a_masked_entry_is_rewritten_without_a_word_to_the_device() {
    let (mut table, mut model) = (Table::new(1), Model::new(32));
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    write(&mut table, &mut model, 12, 1);
    model.take_log();
    for (offset, value) in [(0, 0xfee0_1000), (4, 0), (8, 0x61), (12, 1)] {
        write(&mut table, &mut model, offset, value);
    }
    assert!(model.take_log().is_empty());
    write(&mut table, &mut model, 12, 0);
    assert_eq!(model.log.first().unwrap(), "map 61 cpu 1 entry 0 -> 41");
}

#[test]
fn another_message_is_mapped_first_and_the_old_mapping_goes_last() {
    let (mut table, mut model) = (Table::new(1), Model::new(32));
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    model.take_log();
    write(&mut table, &mut model, 8, 0x61);
    let expected = [
        "map 61 cpu 0 entry 0 -> 41",
        "write 100c = 1",
        "write 1000 = fee00000",
        "write 1004 = 0",
        "write 1008 = 41",
        "write 100c = 0",
        "read 100c",
        "unmap 40",
    ];
    assert_eq!(model.take_log(), expected);
}

#[test]
fn a_refused_entry_stays_masked_and_says_so() {
    let (mut table, mut model) = (Table::new(2), Model::new(1));
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    program(&mut table, &mut model, 1, 0xfee0_0000, 0x52);
    assert_eq!(table.read(28, 4), 1);
    assert_eq!(model.memory[&0x101c], 1);
    assert!(model.log.iter().any(|line| line == "refused entry 1 reason=full vector=82 cpu=0"));
    model.free = 1;
    model.take_log();
    program(&mut table, &mut model, 1, 0xfee0_0000, 0x52);
    assert_eq!(table.read(28, 4), 0, "there is room now");
    assert!(model.log.iter().any(|line| line == "forget 52 entry 1"));
}

#[test]
fn nonsense_is_refused_and_gives_the_old_mapping_back() {
    let (mut table, mut model) = (Table::new(1), Model::new(32));
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    model.take_log();
    write(&mut table, &mut model, 8, 3);
    let expected =
        ["refused entry 0 reason=message part=vector", "write 100c = 1", "read 100c", "unmap 40"];
    assert_eq!(model.take_log(), expected);
    assert_eq!(table.read(12, 4), 1);
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    assert_eq!(table.read(12, 4), 0, "a second try may succeed");
}

#[test]
fn a_disabled_function_maps_nothing_until_it_is_enabled() {
    let (mut table, mut model) = (Table::new(2), Model::new(32));
    let off = Place { enabled: false, ..PLACE };
    for (offset, value) in [(0, 0xfee0_0000), (8, 0x51), (12, 0)] {
        table.write(&mut model, off, (offset, 4), value);
    }
    assert!(!model.log.iter().any(|line| line.starts_with("map")));
    table.follow_all(&mut model, PLACE);
    assert_eq!(model.memory[&0x100c], 0);
    assert_eq!(model.memory[&0x101c], 1);
    let taken = table.take_all(&mut model, PLACE.source);
    assert!(taken.iter().map(|(_, reserved)| *reserved).eq([0x40]));
    assert!(table.take_all(&mut model, PLACE.source).is_empty());
}

#[test]
fn no_write_panics() {
    let (mut table, mut model) = (Table::new(2), Model::new(32));
    for offset in 0..40 {
        for size in [1, 2, 4, 8] {
            table.write(&mut model, PLACE, (offset, size), u64::MAX);
            let _ = table.read(offset, size);
        }
    }
}

/// The target of vector `number` on CPU 0.
fn target(number: u8) -> Target {
    Target { vector: L2Vector::new(number).unwrap(), cpu: 0 }
}

fn climb(table: &mut Table<Mapping>, model: &mut Model, entry: u16, target: Target) {
    table.climb(model, PLACE, (Source { bdf: BDF, entry }, target));
}

#[test]
fn a_detour_ends_when_a_slot_is_free_and_the_device_is_told_in_between() {
    let (mut table, mut model) = (Table::new(1), Model::new(32));
    model.detours = 1;
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    assert_eq!(model.memory[&0x1000], 0xfee0_7000, "the message goes to another CPU");
    model.take_log();
    climb(&mut table, &mut model, 0, target(0x51));
    let expected = [
        "map 51 cpu 0 entry 0 -> 41",
        "write 100c = 1",
        "write 1000 = fee00000",
        "write 1004 = 0",
        "write 1008 = 41",
        "write 100c = 0",
        "read 100c",
        "unmap c0",
    ];
    assert_eq!(model.take_log(), expected);
    climb(&mut table, &mut model, 0, target(0x51));
    assert_eq!(model.take_log(), ["forget 51 entry 0"], "it has what it wants");
}

#[test]
fn another_detour_is_no_better_than_the_one_that_there_is() {
    let (mut table, mut model) = (Table::new(1), Model::new(32));
    model.detours = 2;
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    model.take_log();
    climb(&mut table, &mut model, 0, target(0x51));
    assert_eq!(model.take_log(), ["map 51 cpu 0 entry 0 -> c1", "unmap c1"]);
    model.free = 0;
    climb(&mut table, &mut model, 0, target(0x51));
    assert_eq!(model.take_log(), ["forget 51 entry 0"], "not even that");
}

#[test]
fn a_refused_entry_climbs_and_l2_sees_it() {
    let (mut table, mut model) = (Table::new(1), Model::new(0));
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    assert_eq!(table.read(12, 4), 1);
    model.free = 1;
    climb(&mut table, &mut model, 0, target(0x51));
    assert_eq!(table.read(12, 4), 0);
    assert_eq!((model.memory[&0x1008], model.memory[&0x100c]), (0x40, 0));
}

#[test]
fn what_l2_masked_is_not_asked_for_any_more() {
    let (mut table, mut model) = (Table::new(1), Model::new(0));
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    model.take_log();
    write(&mut table, &mut model, 12, 1);
    assert_eq!(model.take_log(), ["forget 51 entry 0"]);
    model.free = 1;
    climb(&mut table, &mut model, 0, target(0x51));
    assert_eq!(model.take_log(), ["forget 51 entry 0"]);
}

#[test]
fn a_masked_detour_climbs_and_stays_masked() {
    let (mut table, mut model) = (Table::new(1), Model::new(32));
    model.detours = 1;
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    write(&mut table, &mut model, 12, 1);
    climb(&mut table, &mut model, 0, target(0x51));
    assert_eq!((model.memory[&0x1008], model.memory[&0x100c]), (0x41, 1));
    model.take_log();
    write(&mut table, &mut model, 12, 0);
    assert_eq!(model.take_log(), ["write 100c = 0"]);
}

#[test]
fn a_message_that_is_a_name_is_steered_before_the_device_may_send_it() {
    let (mut table, mut model) = (Table::new(2), Model::new(32));
    (model.names, model.posts) = (true, true);
    program(&mut table, &mut model, 1, 0xfee0_1000, 0x51);
    let from = model.log.iter().position(|line| line.starts_with("map")).unwrap();
    let expected = [
        "map 51 cpu 1 entry 1 -> 40",
        "write 101c = 1",
        "write 1010 = fee00000",
        "write 1014 = 0",
        "write 1018 = 81",
        "steer entry 1 -> 40",
        "write 101c = 0",
    ];
    assert_eq!(model.take_log()[from..], expected);
    write(&mut table, &mut model, 16, 0xfee0_2000);
    let expected = [
        "map 51 cpu 2 entry 1 -> 41",
        "steer entry 1 -> 41",
        "write 101c = 0",
        "read 101c",
        "unmap 40",
    ];
    assert_eq!(model.take_log(), expected, "another target is no other name");
}

#[test]
fn a_way_is_changed_by_the_host_alone_and_the_old_one_ends_last() {
    let (mut table, mut model) = (Table::new(1), Model::new(32));
    (model.names, model.posts) = (true, true);
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    model.take_log();
    table.renew(&mut model, PLACE);
    assert_eq!(model.take_log(), ["map 51 cpu 0 entry 0 -> 41", "unmap 41"], "no other way");
    model.detours = 1;
    table.renew(&mut model, PLACE);
    let expected = ["map 51 cpu 0 entry 0 -> c2", "steer entry 0 -> c2", "read 100c", "unmap 40"];
    assert_eq!(model.take_log(), expected);
    table.renew(&mut model, PLACE);
    let expected = ["map 51 cpu 0 entry 0 -> 43", "steer entry 0 -> 43", "read 100c", "unmap c2"];
    assert_eq!(model.take_log(), expected);
}

#[test]
fn a_way_that_the_host_refuses_is_followed_by_the_one_that_it_grants() {
    let (mut table, mut model) = (Table::new(1), Model::new(32));
    model.names = true;
    program(&mut table, &mut model, 0, 0xfee0_0000, 0x51);
    let log = model.take_log();
    let from = log.iter().position(|line| line.starts_with("steer")).unwrap();
    let expected = [
        "steer entry 0 -> 40",
        "unmap 40",
        "map 51 cpu 0 entry 0 -> c1",
        "steer entry 0 -> c1",
        "write 100c = 0",
    ];
    assert_eq!(log[from..], expected);
    assert_eq!(table.take_all(&mut model, PLACE.source), [(target(0x51), 0xc1)]);
}
