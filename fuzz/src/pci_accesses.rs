// SPDX-License-Identifier: MIT OR Apache-2.0
//! An L2 that writes what it likes to configuration space and MSI-X tables, and a host that answers what it likes.
//!
//! An input is the host's configuration space, as changes of a sensible one, and a list of steps: L2 reads and writes
//! ports and table pages at any offset, width and value; mappings become scarce or take detours; better ways turn up;
//! functions are taken away; the host lies from some step on. The machine keeps books of what L1 writes to the
//! devices, see `machine`.

/// One function of the host.
mod device;

/// The machine around the bus: the host's registers, mappings, and what L1 may do with them.
mod machine;

use std::collections::BTreeSet;

use paravisor::pci::{
    address::{AddressPort, Bdf},
    bus::Bus,
    machine::{Location, Source},
    message::{Message, Target},
};
use proxy_irq::L2Vector;

use self::{
    device::{BAR, Device, FUNCTIONS, PAGE},
    machine::{Machine, Mapping, Messages},
};
use crate::Input;

/// What L2 does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Read,
    Write,
}

/// Reads and writes by the steps of the input; at the end all functions go and no mapping is left.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let Some(choice) = input.byte() else { return };
    let mut messages = Messages::Targets;
    let devices = (0..FUNCTIONS).map(|index| {
        let kinds = choice >> (2 * index) & 3;
        let changes = input.byte().unwrap_or(0);
        if changes & 0x80 != 0 {
            messages = Messages::Names;
        }
        let changes = 2 * usize::from(changes & 7);
        (8 * (index + 1), Device::new(index, kinds, input.bytes(changes)))
    });
    let devices = devices.collect();
    let mut machine = Machine::new(devices, messages);
    let mut bus = Bus::new();
    while let Some(step) = input.byte() {
        take(&mut bus, &mut machine, step, &mut input);
        machine.check();
    }
    machine.remove_all();
    let removed: BTreeSet<_> =
        bus.forget_removed(&mut machine).into_iter().map(|bdf| bdf.0).collect();
    assert!(removed.len() <= usize::from(FUNCTIONS));
    assert_eq!(machine.live(), 0, "mappings of functions that are gone");
}

fn take(bus: &mut Bus<Mapping>, machine: &mut Machine, step: u8, input: &mut Input<'_>) {
    let size = 1 << (step >> 6 & 3);
    let way = if step & 0x20 == 0 { Way::Read } else { Way::Write };
    match step % 16 {
        0..=3 => config(bus, machine, input, way, size.min(4)),
        4 => {
            let choice = input.byte().unwrap_or(0);
            machine.begin(None);
            if choice & 8 != 0 {
                return device_port(bus, machine, input, (way, size.min(4), choice));
            }
            let port = AddressPort::PORT + u16::from(choice & 7);
            if way == Way::Read {
                let value = bus.read(machine, port, size.min(4));
                assert!(u64::from(value) >> (8 * size.min(4)) == 0);
            } else {
                bus.write(machine, (port, size.min(4)), input.word());
            }
        }
        5..=10 => memory(bus, machine, input, way, size),
        11 => machine.set_free(input.byte().unwrap_or(0)),
        12 => {
            let (source, target) = (source(input), target(input));
            machine.begin(None);
            bus.climb(machine, source, target);
        }
        13 => {
            if let Some((source, target)) = machine.wish() {
                machine.begin(None);
                bus.climb(machine, source, target);
            }
        }
        14 => {
            machine.remove(bdf(input));
            machine.begin(None);
            drop(bus.forget_removed(machine));
        }
        _ if way == Way::Write => {
            machine.begin(None);
            bus.renew(machine);
        }
        _ => machine.lie(input.byte().unwrap_or(0), input.word()),
    }
}

/// One access to a port that may be a device's, often where the host has them or L2 has moved them.
fn device_port(
    bus: &Bus<Mapping>,
    machine: &mut Machine,
    input: &mut Input<'_>,
    (way, size, choice): (Way, u8, u8),
) {
    let high = if choice & 0x80 == 0 { 0xc0 } else { input.byte().unwrap_or(0) };
    let port = u16::from_le_bytes([input.byte().unwrap_or(0), high]);
    if way == Way::Read {
        let value = bus.port_read(machine, port, size);
        assert!(value.is_none_or(|value| u64::from(value) >> (8 * size) == 0));
    } else {
        let _ = bus.port_write(machine, (port, size), input.word());
    }
}

fn bdf(input: &mut Input<'_>) -> Bdf {
    Bdf(8 * u16::from(input.byte().unwrap_or(0) % 5))
}

fn source(input: &mut Input<'_>) -> Source {
    Source { bdf: bdf(input), entry: u16::from(input.byte().unwrap_or(0) & 15) }
}

fn target(input: &mut Input<'_>) -> Target {
    let vector = L2Vector::new(input.byte().unwrap_or(0) | 16).expect("it is above 15");
    Target { vector, cpu: u32::from(input.byte().unwrap_or(0) & 3) }
}

/// One access to a register, by both ports, as a kernel makes it.
fn config(
    bus: &mut Bus<Mapping>,
    machine: &mut Machine,
    input: &mut Input<'_>,
    way: Way,
    size: u8,
) {
    let (bdf, offset) = (bdf(input), input.byte().unwrap_or(0));
    let port = AddressPort::DATA + u16::from(offset & 3);
    machine.begin(None);
    bus.write(machine, (AddressPort::PORT, 4), AddressPort::of(bdf, offset).0);
    if way == Way::Write {
        let value = value(input);
        bus.write(machine, (port, size), value);
    } else {
        let value = bus.read(machine, port, size);
        assert!(size == 4 || value >> (8 * size) == 0);
    }
}

/// A value, often a message that means something.
fn value(input: &mut Input<'_>) -> u32 {
    match input.byte().unwrap_or(0) {
        kind @ 0..=63 => 0xfee0_0000 | u32::from(kind & 7) << 12 | u32::from(kind & 8) >> 1,
        kind @ 64..=127 => u32::from(kind) << 1,
        kind @ 128..=159 => u32::from(kind & 3) << 30,
        kind @ 160..=191 => u32::from(kind & 3),
        192..=199 => u32::MAX,
        _ => input.word(),
    }
}

/// One access to a page in which a table may be.
fn memory(
    bus: &mut Bus<Mapping>,
    machine: &mut Machine,
    input: &mut Input<'_>,
    way: Way,
    size: u8,
) {
    let (place, offset) = (input.byte().unwrap_or(0), u64::from(input.byte().unwrap_or(0)));
    let page = BAR + u64::from(place & 7) * PAGE;
    let gpa = page + if place & 8 == 0 { offset } else { PAGE - 128 + offset };
    let at = Location { gpa, size };
    if way == Way::Read {
        machine.begin(Some((at, None)));
        let value = bus.memory_read(machine, at);
        assert!(value.is_none_or(|value| size == 8 || value >> (8 * size) == 0));
        return;
    }
    let value = u64::from(value(input)) | u64::from(value(input)) << 32;
    machine.begin(Some((at, Some(value))));
    if bus.memory_write(machine, at, value).is_some() && machine.is_register(at) {
        machine.begin(Some((at, None)));
        let seen = bus.memory_read(machine, at).expect("what can be written can be read");
        assert_message_as_written(gpa, size, (value, seen));
    }
}

/// L2 reads addresses and data as it wrote them, but for the two lowest bits of an address.
fn assert_message_as_written(gpa: u64, size: u8, (written, seen): (u64, u64)) {
    let mask = match (gpa % 16, size) {
        (0, 4) => 0xffff_fffc,
        (4 | 8, 4) | (8, 8) => 0xffff_ffff,
        (0, 8) => !3,
        _ => 0,
    };
    assert_eq!(seen & mask, written & mask);
}

/// What a device may send: the message of one mapping, and that of the right function.
fn is_to_l1(message: Message) -> bool {
    let data = message.data;
    message.address & !0xf_f000 == 0xfee0_0000 && (0x40..0x60).contains(&data)
}
