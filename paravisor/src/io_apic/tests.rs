// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chip as a driver sees it.

use super::{Deliveries, IoApic, Line, PINS, Receivers};
use alloc::vec::Vec;

fn read(chip: &mut IoApic, register: u32) -> u32 {
    let _ = chip.write(0x00, 4, register);
    chip.read(0x10, 4)
}

fn write(chip: &mut IoApic, register: u32, value: u32) -> Vec<u8> {
    let _ = chip.write(0x00, 4, register);
    vectors(chip.write(0x10, 4, value))
}

fn vectors(deliveries: Deliveries) -> Vec<u8> {
    deliveries.iter().map(|delivery| delivery.vector.get()).collect()
}

/// A chip whose pin 4 has the entry `low`, for CPU 2.
fn chip(low: u32) -> IoApic {
    let mut chip = IoApic::new();
    write(&mut chip, 0x19, 0x0200_0000);
    write(&mut chip, 0x18, low);
    chip
}

fn entry(chip: &mut IoApic) -> u32 {
    read(chip, 0x18)
}

#[test]
fn it_is_a_chip_of_24_pins_with_an_eoi_register() {
    let mut chip = IoApic::new();
    assert_eq!(read(&mut chip, 1), 0x0017_0020);
    assert_eq!(read(&mut chip, 0), 0);
    write(&mut chip, 0, 0xffff_ffff);
    assert_eq!(read(&mut chip, 0), 0x0f00_0000);
    for pin in 0..24 {
        assert_eq!(read(&mut chip, 0x10 + 2 * pin), 0x1_0000, "masked after reset");
    }
    assert_eq!(read(&mut chip, 0x40), 0, "there are no more");
    assert_eq!(chip.read(0x10, 1), 0, "registers are dwords");
    assert_eq!(chip.read(0x40, 4), 0);
}

#[test]
fn an_entry_keeps_what_can_be_written() {
    let mut chip = chip(0xffff_ffff);
    assert_eq!(entry(&mut chip), 0x0001_afff);
    assert_eq!(read(&mut chip, 0x19), 0x0200_0000);
    write(&mut chip, 0x19, 0xffff_ffff);
    assert_eq!(read(&mut chip, 0x19), 0xff00_0000);
}

#[test]
fn an_edge_is_sent_once() {
    let mut chip = chip(0x51);
    let sent: Vec<_> = chip.set_line(4, Line::High).iter().collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].vector.get(), 0x51);
    assert_eq!(sent[0].receivers, Receivers::One(2));
    assert_eq!(vectors(chip.set_line(4, Line::High)), []);
    assert_eq!(vectors(chip.set_line(4, Line::Low)), []);
    assert_eq!(vectors(chip.set_line(4, Line::High)), [0x51]);
    assert_eq!(chip.level_vectors(), [0; 4]);
}

#[test]
fn an_edge_while_masked_is_lost() {
    let mut chip = chip(0x1_0051);
    assert_eq!(vectors(chip.set_line(4, Line::High)), []);
    assert_eq!(write(&mut chip, 0x18, 0x51), []);
}

#[test]
fn a_level_is_sent_again_at_its_end_while_it_lasts() {
    let mut chip = chip(0x8051);
    assert_eq!(chip.level_vectors(), [0, 1 << 0x11, 0, 0]);
    let vector = proxy_irq::L2Vector::new(0x51).unwrap();
    assert_eq!(vectors(chip.set_line(4, Line::High)), [0x51]);
    assert_eq!(entry(&mut chip), 0xc051, "remote IRR");
    assert_eq!(vectors(chip.set_line(4, Line::High)), [], "it was sent");
    assert_eq!(vectors(chip.end_of_interrupt(vector)), [0x51]);
    assert_eq!(vectors(chip.set_line(4, Line::Low)), []);
    assert_eq!(vectors(chip.end_of_interrupt(vector)), []);
    assert_eq!(entry(&mut chip), 0x8051);
    assert_eq!(vectors(chip.end_of_interrupt(vector)), [], "an end without a beginning");
}

#[test]
fn the_eoi_register_ends_a_level_as_a_cpu_does() {
    let mut chip = chip(0x8051);
    assert_eq!(vectors(chip.set_line(4, Line::High)), [0x51]);
    assert!(!chip.is_ready(4));
    assert_eq!(vectors(chip.write(0x40, 4, 0x52)), [], "another vector");
    assert_eq!(vectors(chip.write(0x40, 1, 0x51)), [], "registers are dwords");
    assert_eq!(entry(&mut chip), 0xc051);
    assert_eq!(vectors(chip.write(0x40, 4, 0x51)), [0x51], "it still asks");
    let _ = chip.set_line(4, Line::Low);
    assert_eq!(vectors(chip.write(0x40, 4, 0x51)), []);
    assert!(chip.is_ready(4) && chip.is_level(4));
    assert_eq!(vectors(chip.write(0x40, 4, 0x05)), [], "no vector of an APIC");
    assert_eq!(chip.read(0x40, 4), 0, "it is written only");
}

#[test]
fn a_pulse_is_one_interrupt() {
    let mut level = chip(0x8051);
    assert_eq!(vectors(level.pulse(4)), [0x51]);
    assert_eq!(vectors(level.pulse(4)), [], "its end is awaited");
    let vector = proxy_irq::L2Vector::new(0x51).unwrap();
    assert_eq!(vectors(level.end_of_interrupt(vector)), [], "it does not last");
    let mut edge = chip(0x51);
    assert_eq!((vectors(edge.pulse(4)), vectors(edge.pulse(4))), ([0x51].into(), [0x51].into()));
    assert_eq!((edge.receiver(4, 4), edge.receiver(4, 2)), (Some(2), None));
}

#[test]
fn a_level_that_was_masked_is_sent_when_it_is_not() {
    let mut chip = chip(0x1_8051);
    assert_eq!(vectors(chip.set_line(4, Line::High)), []);
    assert_eq!(write(&mut chip, 0x18, 0x8051), [0x51]);
    assert_eq!(write(&mut chip, 0x18, 0x8051), [], "it is in service");
}

#[test]
fn becoming_a_pin_of_edges_forgets_what_a_level_has_sent() {
    let mut chip = chip(0x8051);
    let _ = chip.set_line(4, Line::High);
    write(&mut chip, 0x18, 0x1_0051);
    assert_eq!(write(&mut chip, 0x18, 0x8051), [0x51], "so it can be sent again");
}

#[test]
fn all_pins_of_one_vector_end_together() {
    let mut chip = chip(0x8051);
    write(&mut chip, 0x1a, 0x8051);
    let _ = (chip.set_line(4, Line::High), chip.set_line(5, Line::High));
    let vector = proxy_irq::L2Vector::new(0x51).unwrap();
    assert_eq!(vectors(chip.end_of_interrupt(vector)), [0x51, 0x51]);
}

#[test]
fn nonsense_is_counted_and_sends_nothing() {
    for low in [0x0f, 0x0251, 0x0451, 0x0551, 0x0751, 0x0351, 0x0651] {
        let mut chip = chip(low);
        assert_eq!(vectors(chip.set_line(4, Line::High)), []);
        assert_eq!(chip.nonsense(), 1);
    }
    assert_eq!(vectors(IoApic::new().set_line(PINS, Line::High)), [], "no such pin");
}

#[test]
fn destinations_are_those_of_the_manual() {
    let receivers = |low, high| {
        let mut chip = IoApic::new();
        write(&mut chip, 0x19, high);
        write(&mut chip, 0x18, low);
        let delivery = chip.set_line(4, Line::High).iter().next().unwrap();
        (0..10).filter(|cpu| delivery.receivers.include(*cpu)).collect::<Vec<_>>()
    };
    assert_eq!(receivers(0x51, 0x0300_0000), [3]);
    assert_eq!(receivers(0x51, 0xff00_0000).len(), 10);
    assert_eq!(receivers(0x851, 0x0600_0000), [1, 2]);
    assert_eq!(receivers(0x951, 0x0600_0000), [1], "lowest priority");
    assert_eq!(receivers(0x951, 0x0000_0000), []);
    assert_eq!(receivers(0x51, 0x2000_0000), [], "no such CPU");
}
