// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines between a chip of the host that is written by its manual, with devices that pull, and L2's chip.
//!
//! The naive reference is the wire itself: L2's driver sees an interrupt as long as some device pulls
//! and the pin is open, and none for what nobody pulls any more.

use alloc::{vec, vec::Vec};

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use proxy_irq::L2Vector;

use super::{FIRST_PIN, LINES, Lines, Refusal};
use crate::{
    intx::{Polarity, Route, Trigger, host_chip::HostChip},
    io_apic::{Deliveries, IoApic},
    width::{high32, low32},
};

const VECTOR: u8 = 0x60;
const GSI: u32 = 21;

/// The host's chip, and what it has sent: a vector and a CPU each.
#[derive(Debug)]
struct Chip {
    version: u32,
    entries: [u64; 24],
    /// Pins that some device pulls.
    pulled: u32,
    /// Pins that the TD may have.
    allowed: u32,
    sent: Vec<(u8, u8)>,
    log: Vec<(u8, u32)>,
    ends: u32,
}

const MASKED: u64 = 1 << 16;
const LEVEL: u64 = 1 << 15;
const REMOTE_IRR: u64 = 1 << 14;

impl Chip {
    fn new() -> Self {
        let (entries, sent, log) = ([MASKED; 24], vec![], vec![]);
        Self { version: 0x0017_0020, entries, pulled: 0, allowed: u32::MAX, sent, log, ends: 0 }
    }

    fn pull(&mut self, gsi: u32) {
        let rises = self.pulled >> gsi & 1 == 0;
        self.pulled |= 1 << gsi;
        let entry = self.entries[gsi as usize];
        if entry & LEVEL != 0 {
            self.look();
        } else if rises && entry & MASKED == 0 {
            self.send(gsi as usize);
        }
    }

    fn release(&mut self, gsi: u32) {
        self.pulled &= !(1 << gsi);
    }

    fn look(&mut self) {
        for pin in 0..24 {
            let entry = self.entries[pin];
            let asks = self.pulled >> pin & 1 == 1 && entry & LEVEL != 0;
            if asks && entry & (MASKED | REMOTE_IRR) == 0 {
                self.entries[pin] |= REMOTE_IRR;
                self.send(pin);
            }
        }
    }

    fn send(&mut self, pin: usize) {
        let [vector, .., cpu] = self.entries[pin].to_le_bytes();
        self.sent.push((vector, cpu));
    }
}

impl HostChip for Chip {
    fn read(&mut self, register: u8) -> u32 {
        match register {
            1 => self.version,
            0x10..0x40 => {
                let entry = self.entries[usize::from(register - 0x10) / 2];
                if register.is_multiple_of(2) { low32(entry) } else { high32(entry) }
            }
            _ => 0,
        }
    }

    fn write(&mut self, register: u8, value: u32) {
        self.log.push((register, value));
        let pin = usize::from(register - 0x10) / 2;
        if self.allowed >> pin & 1 == 0 {
            return;
        }
        let entry = &mut self.entries[pin];
        *entry = if register.is_multiple_of(2) {
            *entry & !0xffff_afff | u64::from(value) & 0x1_afff
        } else {
            *entry & 0xffff_ffff | u64::from(value) << 32
        };
        self.look();
    }

    fn end_of_interrupt(&mut self, vector: u8) {
        self.ends += 1;
        for entry in &mut self.entries {
            if *entry & 0xff == u64::from(vector) && *entry & LEVEL != 0 {
                *entry &= !REMOTE_IRR;
            }
        }
        self.look();
    }
}

fn route(gsi: u32, trigger: Trigger) -> Route {
    let text = "00:05.0,A,0,level,low";
    Route { gsi, trigger, ..Route::parse(text).unwrap() }
}

/// The host's chip, L1's lines, L2's chip and what L2's CPUs have pending.
struct Machine {
    host: Chip,
    lines: Lines,
    guest: IoApic,
    pending: Vec<(u8, u32)>,
}

impl Machine {
    fn new(trigger: Trigger) -> Self {
        let (mut host, mut lines) = (Chip::new(), Lines::new(VECTOR));
        assert_eq!(lines.assign(&mut host, &route(GSI, trigger)), Ok(FIRST_PIN));
        Self { host, lines, guest: IoApic::new(), pending: vec![] }
    }

    fn take(&mut self, deliveries: &Deliveries) {
        for delivery in deliveries.iter() {
            for cpu in (0..4).filter(|cpu| delivery.receivers.include(*cpu)) {
                let one = (delivery.vector.get(), cpu);
                // An APIC has one bit for a vector.
                if !self.pending.contains(&one) {
                    self.pending.push(one);
                }
            }
        }
    }

    /// L1 takes what the host's chip has sent.
    fn settle(&mut self) {
        while !self.host.sent.is_empty() {
            for (vector, _) in core::mem::take(&mut self.host.sent) {
                let told = self.lines.told(usize::from(vector - VECTOR), &mut self.guest);
                self.take(&told);
            }
        }
    }

    fn follow(&mut self, deliveries: &Deliveries) {
        self.take(deliveries);
        let more = self.lines.follow(&mut self.guest, &mut self.host, 4);
        self.take(&more);
        self.settle();
    }

    /// L2 writes the entry of the line's pin.
    fn write(&mut self, low: u32, cpu: u32) {
        for (register, value) in [(0x31, cpu << 24), (0x30, low)] {
            let _ = self.guest.write(0, 4, register);
            let deliveries = self.guest.write(0x10, 4, value);
            self.follow(&deliveries);
        }
    }

    fn end(&mut self, vector: u8) {
        let vector = L2Vector::new(vector).unwrap();
        let deliveries = self.guest.end_of_interrupt(vector);
        self.follow(&deliveries);
    }

    fn pull(&mut self) {
        self.host.pull(GSI);
        self.settle();
    }
}

#[test]
fn the_host_s_pin_is_set_up_when_a_device_is_assigned_and_opened_by_l2() {
    let mut machine = Machine::new(Trigger::Level);
    // Masked first, then sent to a CPU.
    assert_eq!(machine.host.log, [(0x3a, 0x1_a060), (0x3b, 0)]);
    machine.pull();
    assert_eq!(machine.pending, []);
    machine.write(0x1_a051, 3);
    assert_eq!(machine.host.log.len(), 2, "L2's pin is still masked");
    machine.write(0xa051, 3);
    // The CPU first, then open.
    assert_eq!(machine.host.log[2..], [(0x3b, 0x0300_0000), (0x3a, 0xa060)]);
    assert_eq!(machine.pending, [(0x51, 3)], "the device pulls still");
    assert!(!machine.guest.is_ready(FIRST_PIN));
}

#[test]
fn a_level_comes_again_until_nobody_pulls() {
    let mut machine = Machine::new(Trigger::Level);
    machine.write(0xa051, 1);
    machine.pull();
    assert_eq!(core::mem::take(&mut machine.pending), [(0x51, 1)]);
    machine.end(0x51);
    assert_eq!(core::mem::take(&mut machine.pending), [(0x51, 1)], "it still pulls");
    machine.host.release(GSI);
    machine.end(0x51);
    assert_eq!(machine.pending, []);
    assert_eq!(machine.host.ends, 2);
    let figures = machine.lines.figures().next().unwrap();
    assert_eq!((figures.told, figures.ended), (2, 2));
}

#[test]
fn what_was_taken_back_while_l2_s_pin_was_masked_never_comes() {
    let mut machine = Machine::new(Trigger::Level);
    machine.write(0xa051, 1);
    machine.host.pull(GSI);
    // Half an entry: L1 takes what is on its way afterwards.
    let _ = machine.guest.write(0, 4, 0x30);
    let deliveries = machine.guest.write(0x10, 4, 0x1_a051);
    machine.follow(&deliveries);
    assert_eq!((machine.pending.len(), machine.host.ends), (0, 0), "too late for L2");
    machine.host.release(GSI);
    machine.write(0xa051, 1);
    assert_eq!((machine.pending.len(), machine.host.ends), (0, 1));
    machine.write(0x1_a051, 1);
    machine.pull();
    machine.host.release(GSI);
    machine.write(0xa051, 1);
    assert_eq!((machine.pending.len(), machine.host.ends), (0, 1), "the host's was masked");
    machine.pull();
    assert_eq!(machine.pending, [(0x51, 1)]);
}

#[test]
fn a_driver_that_masks_its_pin_meanwhile_asks_the_host_nothing_more() {
    let mut machine = Machine::new(Trigger::Level);
    machine.write(0xa051, 1);
    machine.pull();
    let before = machine.host.log.len();
    machine.write(0x1_a051, 1);
    machine.end(0x51);
    machine.host.release(GSI);
    machine.write(0xa051, 1);
    assert_eq!((machine.host.log.len() - before, machine.host.ends), (0, 1));
}

#[test]
fn an_end_while_l2_s_pin_is_masked_waits_for_it() {
    let mut machine = Machine::new(Trigger::Level);
    machine.write(0xa051, 1);
    machine.pull();
    machine.pending.clear();
    machine.write(0x1_a051, 1);
    machine.end(0x51);
    assert_eq!((machine.pending.len(), machine.host.ends), (0, 0), "a threaded handler works");
    machine.write(0xa051, 2);
    assert_eq!((&machine.pending[..], machine.host.ends), (&[(0x51, 2)][..], 1));
    assert_eq!(machine.host.entries[21] >> 56, 2, "the host's follows to the CPU");
}

#[test]
fn edges_are_remembered_once_and_have_no_end() {
    let mut machine = Machine::new(Trigger::Edge);
    machine.write(0xa051, 0);
    for _ in 0..3 {
        machine.pull();
        machine.host.release(GSI);
    }
    assert_eq!(core::mem::take(&mut machine.pending), [(0x51, 0)]);
    machine.end(0x51);
    assert_eq!(core::mem::take(&mut machine.pending), [(0x51, 0)]);
    machine.end(0x51);
    assert_eq!((machine.pending.len(), machine.host.ends), (0, 0));
}

#[test]
fn a_host_that_tells_at_will_gets_one_interrupt_and_one_end() {
    let mut machine = Machine::new(Trigger::Level);
    machine.write(0xa051, 0);
    for _ in 0..5 {
        machine.host.sent.push((VECTOR, 0));
        machine.settle();
    }
    assert_eq!(machine.pending, [(0x51, 0)]);
    machine.end(0x51);
    assert_eq!(machine.host.ends, 1);
    for vector in VECTOR + 1..VECTOR + 8 {
        machine.host.sent.push((vector, 0));
    }
    machine.settle();
    assert_eq!((machine.pending.len(), machine.lines.strays()), (1, 7));
}

#[test]
fn a_line_is_shared_by_level_only() {
    let mut host = Chip::new();
    let mut lines = Lines::new(VECTOR);
    let level = route(GSI, Trigger::Level);
    assert_eq!(lines.assign(&mut host, &level), Ok(FIRST_PIN));
    let written = host.log.len();
    assert_eq!(lines.assign(&mut host, &level), Ok(FIRST_PIN));
    let edge = route(GSI, Trigger::Edge);
    assert_eq!(lines.assign(&mut host, &edge), Err(Refusal::Edge));
    let high = Route { polarity: Polarity::High, ..level };
    assert_eq!(lines.assign(&mut host, &high), Err(Refusal::Polarity));
    assert_eq!(host.log.len(), written, "the pin is as it was");
    let other = Route { gsi: 5, ..edge };
    assert_eq!(lines.assign(&mut host, &other), Ok(FIRST_PIN + 1));
    assert_eq!(lines.assign(&mut host, &other), Err(Refusal::Edge));
}

#[test]
fn what_the_host_does_not_have_or_give_is_refused() {
    let refusal = |version, allowed, gsi| {
        let mut host = Chip { version, allowed, ..Chip::new() };
        Lines::new(VECTOR).assign(&mut host, &route(gsi, Trigger::Level)).err()
    };
    assert_eq!(refusal(0x0017_0020, u32::MAX, 23), None);
    assert_eq!(refusal(0x0017_0011, u32::MAX, 23), Some(Refusal::NoChip), "no EOI register");
    assert_eq!(refusal(u32::MAX, u32::MAX, 23), Some(Refusal::NoChip), "nothing there");
    assert_eq!(refusal(0x00ff_0020, u32::MAX, 23), Some(Refusal::NoChip), "too many pins");
    assert_eq!(refusal(0x0017_0020, u32::MAX, 24), Some(Refusal::NoPin));
    assert_eq!(refusal(0x0017_0020, u32::MAX, 0x1_0005), Some(Refusal::NoPin));
    assert_eq!(refusal(0x0017_0020, !(1 << 23), 23), Some(Refusal::Denied));
    let (mut host, mut lines) = (Chip::new(), Lines::new(VECTOR));
    for gsi in 0..24 {
        let assigned = lines.assign(&mut host, &route(gsi, Trigger::Level)).ok();
        assert_eq!(assigned, (gsi < 8).then_some(FIRST_PIN + gsi as usize));
    }
    assert_eq!(LINES, 8);
}

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A device pulls.
    Pull(usize),
    /// L2 takes an interrupt: looks at each device and has it let go, then ends it. Or ends it first.
    Handle(bool),
    /// A device lets go by itself.
    Release(usize),
    /// L2 masks its pin, or opens it.
    Mask(bool),
    /// L2 moves the pin to another CPU.
    Move(u32),
    /// The host tells although nobody pulls.
    Lie,
}

fn step() -> impl prop::strategy::Strategy<Value = Step> {
    use prop::strategy::{Strategy, Union};
    Union::new([
        (0_usize..2).prop_map(Step::Pull).boxed(),
        any::<bool>().prop_map(Step::Handle).boxed(),
        (0_usize..2).prop_map(Step::Release).boxed(),
        any::<bool>().prop_map(Step::Mask).boxed(),
        (0_u32..4).prop_map(Step::Move).boxed(),
        Union::new([any::<u8>().prop_map(|_| Step::Lie)]).boxed(),
    ])
}

proptest! {
    /// Two devices share a line. Nothing that a device asks for gets stuck or lost, whatever happens in
    /// between, and L2 has no more interrupts than reasons.
    #[test]
    fn a_shared_line_loses_nothing_and_invents_nothing(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut machine = Machine::new(Trigger::Level);
        machine.write(0xa051, 0);
        let (mut pulls, mut masked, mut cpu, mut lies) = ([false; 2], false, 0, 0);
        let mut reasons = 1_u32;
        let mut taken = 0_u32;
        for step in steps {
            match step {
                Step::Pull(device) => {
                    reasons += 1;
                    pulls[device] = true;
                    machine.pull();
                }
                Step::Release(device) => pulls[device] = false,
                Step::Mask(new) => {
                    masked = new;
                    reasons += 1;
                    machine.write(0xa051 | u32::from(masked) << 16, cpu);
                }
                Step::Move(new) => {
                    cpu = new;
                    reasons += 1;
                    machine.write(0xa051 | u32::from(masked) << 16, cpu);
                }
                Step::Lie => {
                    lies += 1;
                    machine.host.sent.push((VECTOR, 0));
                    machine.settle();
                }
                Step::Handle(first) if !machine.pending.is_empty() => {
                    machine.pending.remove(0);
                    taken += 1;
                    if first {
                        machine.end(0x51);
                    }
                    pulls = [false; 2];
                    machine.host.release(GSI);
                    if !first {
                        machine.end(0x51);
                    }
                    reasons += u32::from(first);
                }
                Step::Handle(_) => {}
            }
            if !pulls[0] && !pulls[1] {
                machine.host.release(GSI);
            }
            prop_assert!(machine.pending.len() <= 2, "{:?}", machine.pending);
        }
        // Everybody comes to rest.
        machine.write(0xa051, cpu);
        reasons += 1;
        if pulls[0] || pulls[1] {
            let waits = !machine.pending.is_empty();
            prop_assert!(waits, "a device pulls and nobody is told");
        }
        while !machine.pending.is_empty() {
            machine.pending.remove(0);
            taken += 1;
            machine.host.release(GSI);
            machine.end(0x51);
        }
        prop_assert!(taken <= reasons + lies, "{taken} interrupts for {reasons} reasons");
        machine.pull();
        prop_assert_eq!(machine.pending.len(), 1, "the next one comes at once");
    }
}
