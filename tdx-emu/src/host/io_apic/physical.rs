// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's own IO-APIC, and the vectors by which its pins interrupt the host.
//!
//! Its two registers are used under the lock of the TD's chip. Handlers take that lock, too; they run
//! in interrupt windows only, and nobody who has it opens one.
//!
//! # Orderings
//! The pin of a vector is stored with Release before the machine's pin is opened, and loaded with
//! Acquire by the handler.
#![expect(unsafe_code, reason = "memory-mapped registers")]

use core::sync::atomic::{
    AtomicU8,
    Ordering::{Acquire, Release},
};

use super::{BASE, PINS, Pins};
use crate::{
    host::td::Td,
    iommu,
    machine::{cpus, interrupt, memory},
    observe::{self, Source},
};

const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;
const MASKED: u32 = 1 << 16;
/// Polarity and trigger.
const KIND: u64 = 1 << 13 | 1 << 15;

/// The vector that a pin interrupts the host with; 0 before it has one.
static VECTORS: [AtomicU8; PINS] = [const { AtomicU8::new(0) }; PINS];

/// The chip.
#[derive(Debug)]
pub(crate) struct Machine;

impl Pins for Machine {
    fn open(&mut self, pin: u8, cpu: u8, entry: u64) {
        let Some(vector) = vector(pin) else {
            log::error!("no vector is left for gsi={pin}");
            return;
        };
        let apic_id = cpus::apic_id(usize::from(cpu).min(cpus::count() - 1));
        // Never open with half an entry.
        self.mask(pin, entry);
        write(pin, 1, u32::from(apic_id) << 24);
        write(pin, 0, u32::from(vector) | kind(entry));
    }

    fn mask(&mut self, pin: u8, entry: u64) {
        let vector = VECTORS[usize::from(pin) % PINS].load(Acquire);
        write(pin, 0, kind(entry) | MASKED | u32::from(vector));
    }
}

fn kind(entry: u64) -> u32 {
    u32::try_from(entry & KIND).unwrap_or(0)
}

/// The vector of a pin, which gets one when it is first needed.
fn vector(pin: u8) -> Option<u8> {
    let place = &VECTORS[usize::from(pin) % PINS];
    let known = place.load(Acquire);
    if known != 0 {
        return Some(known);
    }
    let source = Source { vendor: 0xffff, device: 0xffff, devfn: 0, entry: pin.into() };
    let vector = iommu::source(source)?;
    place.store(vector, Release);
    interrupt::set_handler(vector, interrupted);
    Some(vector)
}

/// A pin interrupts.
fn interrupted(vector: u8) {
    let pin = (0_u8..).zip(&VECTORS).find(|(_, known)| known.load(Acquire) == vector);
    let (Some((pin, _)), Some(td)) = (pin, Td::get()) else { return };
    let post = td.io_apic.lock().interrupted(pin, &mut Machine);
    let Some(post) = post else { return };
    if let Some(vcpu) = td.vcpus.get(usize::from(post.cpu)) {
        observe::line_told(pin);
        vcpu.post(post.vector);
    }
}

fn write(pin: u8, half: u8, value: u32) {
    select(pin, half);
    let window = memory::at::<u32>(BASE + WINDOW);
    // SAFETY: the identity map covers the chip's page, which is at its reset address; vectors are those that the host has handlers for.
    unsafe { window.write_volatile(value) };
}

fn select(pin: u8, half: u8) {
    let register = 0x10 + 2 * u32::from(pin) + u32::from(half);
    let select = memory::at::<u32>(BASE + SELECT);
    // SAFETY: as above; selecting has no effect by itself.
    unsafe { select.write_volatile(register) };
}
