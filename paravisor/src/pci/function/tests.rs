// SPDX-License-Identifier: MIT OR Apache-2.0
//! Functions with one, the other, or both capabilities.

use super::Function;
use crate::pci::{
    machine::{Location, Machine},
    model::{BAR1, BDF, Model},
};

type Mapping = <Model as Machine>::Mapping;

/// Like the EDU device: MSI at 0x40, 64-bit, without mask bits.
fn with_msi() -> (Function<Mapping>, Model) {
    let mut model = Model::new(32);
    model.set(0x06, 0x10, 2);
    model.set(0x34, 0x40, 1);
    model.set(0x40, 0x0080_0005, 4);
    (Function::discover(&mut model, BDF, None).unwrap(), model)
}

/// Like the doorbell: MSI-X at 0x40, 48 entries at the start of BAR 1.
fn with_msix() -> (Function<Mapping>, Model) {
    let mut model = Model::new(32);
    model.set(0x06, 0x10, 2);
    model.set(0x14, 0xfebd_0000, 4);
    model.set(0x34, 0x40, 1);
    model.set(0x40, 0x002f_0011, 4);
    model.set(0x44, 0x0000_0001, 4);
    (Function::discover(&mut model, BDF, None).unwrap(), model)
}

fn write(function: &mut Function<Mapping>, model: &mut Model, offset: u8, size: u8, value: u32) {
    function.config_write(model, (offset, size), value);
}

#[test]
fn a_message_reaches_the_device_as_one_of_l1() {
    let (mut function, mut model) = with_msi();
    write(&mut function, &mut model, 0x44, 4, 0xfee0_2000);
    write(&mut function, &mut model, 0x48, 4, 0);
    write(&mut function, &mut model, 0x4c, 2, 0x51);
    model.take_log();
    write(&mut function, &mut model, 0x42, 2, 0x0081);
    let expected = [
        "map 51 cpu 2 entry 0 -> 40",
        "config 44 = fee02000",
        "config 48 = 0",
        "config 4c = 40",
        "config 42 = 81",
    ];
    assert_eq!(model.take_log(), expected);
    assert_eq!(function.config_read(&mut model, 0x4c, 2), 0x51, "L2's own");
    assert_eq!(function.config_read(&mut model, 0x42, 2), 0x81);
    assert_eq!(model.get(0x4c, 2), 0x40, "L1's");
}

#[test]
fn another_vector_is_one_write_and_switching_off_gives_it_back() {
    let (mut function, mut model) = with_msi();
    for (offset, size, value) in [(0x44, 4, 0xfee0_0000), (0x4c, 2, 0x51), (0x42, 2, 1)] {
        write(&mut function, &mut model, offset, size, value);
    }
    model.take_log();
    write(&mut function, &mut model, 0x4c, 2, 0x61);
    let retarget = ["map 61 cpu 0 entry 0 -> 41", "config 4c = 41", "unmap 40"];
    assert_eq!(model.take_log(), retarget);
    write(&mut function, &mut model, 0x42, 2, 0);
    assert_eq!(model.take_log(), ["config 42 = 80", "unmap 41"]);
}

#[test]
fn a_refused_message_switches_the_device_off_and_l2_sees_it() {
    let (mut function, mut model) = with_msi();
    write(&mut function, &mut model, 0x42, 2, 1);
    assert_eq!(function.config_read(&mut model, 0x42, 2), 0x80);
    assert_eq!(model.get(0x42, 2), 0x80);
    write(&mut function, &mut model, 0x44, 4, 0xfee0_0000);
    write(&mut function, &mut model, 0x4c, 2, 0x51);
    assert_eq!(function.config_read(&mut model, 0x42, 2), 0x81, "now it makes sense");
}

#[test]
fn what_the_filter_lets_through_reaches_the_device() {
    let (mut function, mut model) = with_msi();
    write(&mut function, &mut model, 0x04, 2, 0x0107);
    assert_eq!(model.take_log(), ["config 04 = 406"]);
    assert_eq!(function.config_read(&mut model, 0x04, 1), 0x06);
    write(&mut function, &mut model, 0x3c, 4, 0xffff_ffff);
    write(&mut function, &mut model, 0x0c, 1, 0x10);
    assert!(model.take_log().is_empty());
}

#[test]
fn of_device_control_only_harmless_bits_change() {
    let mut model = Model::new(32);
    model.set(0x06, 0x10, 2);
    model.set(0x34, 0x80, 1);
    model.set(0x80, 0x0002_0010, 4);
    model.set(0x88, 0x0107, 2);
    let mut function = Function::discover(&mut model, BDF, None).unwrap();
    write(&mut function, &mut model, 0x88, 2, 0xa810);
    assert_eq!(model.take_log(), ["config 88 = 2917"]);
}

#[test]
fn the_table_is_found_behind_its_base_address_register() {
    let (mut function, mut model) = with_msix();
    assert!(function.claims(&mut model, BAR1));
    assert!(function.claims(&mut model, BAR1 + 0xfff));
    assert!(!function.claims(&mut model, BAR1 + 0x1000));
    write(&mut function, &mut model, 0x14, 4, 0xc000_0000);
    assert!(!function.claims(&mut model, BAR1));
    assert!(function.claims(&mut model, 0xc000_0000));
}

#[test]
fn a_table_behind_nothing_is_nowhere() {
    let (_, mut model) = with_msix();
    for (bar, value) in [(0x14, 0), (0x14, 0xc001), (0x14, 0xffff_fff4)] {
        model.set(bar, value, 4);
        model.set(0x18, 0xffff_ffff, 4);
        let mut function = Function::<Mapping>::discover(&mut model, BDF, None).unwrap();
        assert!(!function.claims(&mut model, u64::from(value)));
    }
    model.set(0x44, 7, 4);
    assert!(
        !Function::<Mapping>::discover(&mut model, BDF, None).unwrap().claims(&mut model, BAR1)
    );
}

#[test]
fn entries_are_mapped_while_enabled_and_released_after() {
    let (mut function, mut model) = with_msix();
    write(&mut function, &mut model, 0x42, 2, 0xc000);
    assert!(function.claims(&mut model, BAR1));
    for (offset, value) in [(0x10, 0xfee0_1000), (0x14, 0), (0x18, 0x51), (0x1c, 0)] {
        let at = Location { gpa: BAR1 + offset, size: 4 };
        function.memory_write(&mut model, at, value);
    }
    write(&mut function, &mut model, 0x42, 2, 0x8000);
    assert_eq!(function.config_read(&mut model, 0x42, 2), 0x802f);
    let at = Location { gpa: BAR1 + 0x18, size: 4 };
    assert_eq!(function.memory_read(&mut model, at), 0x51);
    assert_eq!(model.memory[&(BAR1 + 0x18)], 0x40);
    model.take_log();
    write(&mut function, &mut model, 0x42, 2, 0);
    assert_eq!(model.take_log(), ["config 42 = 2f", "unmap all of 00:02.0: 40"]);
}

#[test]
fn what_shares_the_page_with_the_table_passes_through() {
    let (mut function, mut model) = with_msix();
    assert!(function.claims(&mut model, BAR1));
    let pending = Location { gpa: BAR1 + 0x800, size: 4 };
    function.memory_write(&mut model, pending, 7);
    assert_eq!(function.memory_read(&mut model, pending), 7);
    let untouched = Location { gpa: BAR1 + 12, size: 4 };
    assert_eq!(function.memory_read(&mut model, untouched), 1, "masked as after reset");
}

#[test]
fn an_access_across_an_end_of_the_table_does_not_reach_the_device() {
    let mut model = Model::new(32);
    model.set(0x06, 0x10, 2);
    model.set(0x14, 0xfebd_0000, 4);
    model.set(0x34, 0x40, 1);
    model.set(0x40, 0x0001_0011, 4);
    model.set(0x44, 0x0000_0801, 4);
    let mut function = Function::<Mapping>::discover(&mut model, BDF, None).unwrap();
    assert!(function.claims(&mut model, BAR1));
    for gpa in [BAR1 + 0x7fc, BAR1 + 0x81c] {
        let at = Location { gpa, size: 8 };
        function.memory_write(&mut model, at, 0);
        assert_eq!(function.memory_read(&mut model, at), 0, "no register is there");
        assert!(model.take_log().is_empty(), "{gpa:#x}");
    }
    for gpa in [BAR1 + 0x7f8, BAR1 + 0x820] {
        function.memory_write(&mut model, Location { gpa, size: 8 }, 0);
        assert_eq!(model.take_log().len(), 1);
    }
}

/// Found by fuzzing: the entries' old messages were let loose with MSI-X, and nothing was mapped for them.
#[test]
fn a_table_that_is_out_of_reach_is_not_switched_on_again() {
    let (mut function, mut model) = with_msix();
    assert!(function.claims(&mut model, BAR1));
    let entry = [(0, 0xfee0_0000), (8, 0x51), (12, 0)];
    for (offset, value) in entry {
        function.memory_write(&mut model, Location { gpa: BAR1 + offset, size: 4 }, value);
    }
    write(&mut function, &mut model, 0x42, 2, 0x8000);
    write(&mut function, &mut model, 0x14, 4, 0);
    write(&mut function, &mut model, 0x42, 2, 0);
    model.take_log();
    write(&mut function, &mut model, 0x42, 2, 0x8000);
    assert_eq!(model.get(0x42, 2) & 0x8000, 0, "the device stays off");
    assert_eq!(function.config_read(&mut model, 0x42, 2) & 0x8000, 0, "and L2 sees it");
    write(&mut function, &mut model, 0x14, 4, 0xfebd_0000);
    write(&mut function, &mut model, 0x42, 2, 0x8000);
    assert_eq!(model.get(0x42, 2) & 0x8000, 0x8000);
}
