// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chip beside a naive one, written from the manual: a field for each field of an entry, and after
//! each event a look at every pin.
//!
//! Spec: IOAPIC "I/O Redirection Table Registers"; SDM "I/O APIC".

use alloc::{vec, vec::Vec};

use proptest::prelude::{any, prop, prop_assert_eq, proptest};
use proxy_irq::L2Vector;

use super::{Deliveries, IoApic, Line, PINS};

const CPUS: u8 = 8;

/// An entry and its input.
#[derive(Clone, Copy, Debug, Default)]
struct Pin {
    vector: u8,
    mode: u8,
    logical: bool,
    low_active: bool,
    remote_irr: bool,
    level: bool,
    masked: bool,
    destination: u8,
    asks: bool,
}

#[derive(Debug)]
struct Naive {
    pins: [Pin; PINS],
    nonsense: u64,
}

/// A pin, its vector, and a bit for each CPU that gets it.
type Sent = (usize, u8, u8);

impl Naive {
    fn new() -> Self {
        Self { pins: [Pin { masked: true, ..Pin::default() }; PINS], nonsense: 0 }
    }

    fn send(&mut self, index: usize, sent: &mut Vec<Sent>) {
        let pin = &mut self.pins[index];
        if pin.mode > 1 || pin.vector < 16 {
            self.nonsense += 1;
            return;
        }
        pin.remote_irr = pin.level;
        let mut cpus = 0_u8;
        for cpu in 0..CPUS {
            let is_one = match (pin.logical, pin.destination) {
                (false, 0xff) => true,
                (false, destination) => destination == cpu,
                (true, set) => set & 1 << cpu != 0,
            };
            if is_one {
                cpus |= 1 << cpu;
            }
        }
        if pin.mode == 1 && pin.logical {
            // The arbiter may take any; this one takes the first.
            cpus &= cpus.wrapping_neg();
        }
        sent.push((index, pin.vector, cpus));
    }

    fn look(&mut self, index: usize, sent: &mut Vec<Sent>) {
        let pin = self.pins[index];
        if pin.level && pin.asks && !pin.masked && !pin.remote_irr {
            self.send(index, sent);
        }
    }

    fn apply(&mut self, event: Event) -> Vec<Sent> {
        let mut sent = vec![];
        match event {
            Event::Line(index, asks) => {
                let pin = &mut self.pins[index];
                let rises = asks && !pin.asks;
                pin.asks = asks;
                if rises && !pin.level && !pin.masked {
                    self.send(index, &mut sent);
                }
                self.look(index, &mut sent);
            }
            Event::Low(index, value) => {
                let pin = &mut self.pins[index];
                pin.vector = value.to_le_bytes()[0];
                pin.mode = (value >> 8 & 7) as u8;
                pin.logical = value >> 11 & 1 != 0;
                pin.low_active = value >> 13 & 1 != 0;
                pin.level = value >> 15 & 1 != 0;
                pin.masked = value >> 16 & 1 != 0;
                pin.remote_irr &= pin.level;
                self.look(index, &mut sent);
            }
            Event::High(index, value) => {
                self.pins[index].destination = value.to_le_bytes()[3];
                self.look(index, &mut sent);
            }
            Event::Broadcast(vector) | Event::Register(vector) => {
                for index in 0..PINS {
                    let pin = &mut self.pins[index];
                    if vector >= 16 && pin.level && pin.remote_irr && pin.vector == vector {
                        pin.remote_irr = false;
                        self.look(index, &mut sent);
                    }
                }
            }
        }
        sent
    }

    fn low(&self, index: usize) -> u32 {
        let pin = self.pins[index];
        let bit = |set: bool, at: u32| u32::from(set) << at;
        u32::from(pin.vector)
            | u32::from(pin.mode) << 8
            | bit(pin.logical, 11)
            | bit(pin.low_active, 13)
            | bit(pin.remote_irr, 14)
            | bit(pin.level, 15)
            | bit(pin.masked, 16)
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A device asks, or does not any more.
    Line(usize, bool),
    /// The lower half of an entry is written.
    Low(usize, u32),
    /// The upper half.
    High(usize, u32),
    /// A CPU ends a vector.
    Broadcast(u8),
    /// The EOI register is written.
    Register(u8),
}

/// Few pins and vectors, so that they meet.
fn event() -> impl prop::strategy::Strategy<Value = Event> {
    use prop::strategy::{Just, Strategy, Union};
    let vector = Union::new([Just(0x51_u8), Just(0x52), Just(0x0f)]).boxed();
    let entry = (vector.clone(), any::<u32>(), any::<bool>())
        .prop_map(|(vector, bits, plain)| {
            let rest = if plain { bits & 0x1_a800 } else { bits & !0xff };
            u32::from(vector) | rest
        })
        .boxed();
    let pin = || 0..3_usize;
    Union::new([
        (pin(), any::<bool>()).prop_map(|(pin, asks)| Event::Line(pin, asks)).boxed(),
        (pin(), entry).prop_map(|(pin, value)| Event::Low(pin, value)).boxed(),
        (pin(), any::<u32>()).prop_map(|(pin, value)| Event::High(pin, value)).boxed(),
        vector.clone().prop_map(Event::Broadcast).boxed(),
        vector.prop_map(Event::Register).boxed(),
    ])
}

fn write(chip: &mut IoApic, register: usize, value: u32) -> Deliveries {
    let _ = chip.write(0x00, 4, u32::try_from(register).unwrap());
    chip.write(0x10, 4, value)
}

fn apply(chip: &mut IoApic, event: Event) -> Deliveries {
    match event {
        Event::Line(pin, true) => chip.set_line(pin, Line::High),
        Event::Line(pin, false) => chip.set_line(pin, Line::Low),
        Event::Low(pin, value) => write(chip, 0x10 + 2 * pin, value),
        Event::High(pin, value) => write(chip, 0x11 + 2 * pin, value),
        Event::Broadcast(vector) => {
            L2Vector::new(vector).map_or(Deliveries::NONE, |vector| chip.end_of_interrupt(vector))
        }
        Event::Register(vector) => chip.write(0x40, 4, vector.into()),
    }
}

proptest! {
    #[test]
    fn it_does_what_a_naive_one_does(events in prop::collection::vec(event(), 0..200)) {
        let (mut chip, mut naive) = (IoApic::new(), Naive::new());
        for event in events {
            let wanted: Vec<_> =
                naive.apply(event).into_iter().map(|(_, vector, cpus)| (vector, cpus)).collect();
            let sent: Vec<_> = apply(&mut chip, event)
                .iter()
                .map(|delivery| {
                    let one = |cpu: u8| {
                        if delivery.receivers.include(cpu.into()) { 1_u8 << cpu } else { 0 }
                    };
                    (delivery.vector.get(), (0..CPUS).map(one).sum::<u8>())
                })
                .collect();
            prop_assert_eq!(sent, wanted, "{:?}", event);
            for pin in 0..3 {
                let _ = chip.write(0x00, 4, u32::try_from(0x10 + 2 * pin).unwrap());
                prop_assert_eq!(chip.read(0x10, 4), naive.low(pin), "{:?} pin {}", event, pin);
            }
            prop_assert_eq!(chip.nonsense(), naive.nonsense);
        }
    }
}
