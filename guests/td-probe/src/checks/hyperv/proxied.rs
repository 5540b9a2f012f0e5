// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of a device, QEMU's educational one: the host asks L1 to pass them on, until L1 has them posted to a
//! vector of its own.
//!
//! Spec: PCI "MSI Capability Structure"; EDU "MMIO area spec"; TLFS "HvCallRetargetDeviceInterrupt".

use super::{
    PROXY_VECTOR,
    host::{
        HYPERCALL, OUTPUT, comes, end_of_message, hypercall, interrupts, of, port, read, set_word,
        take, write,
    },
};
use crate::tally::Tally;

const EDU: u64 = 0x11e8_1234;
const RAISE: u64 = 0x60;
const ACKNOWLEDGE: u64 = 0x64;

/// Vectors: of L2, and of L1.
const OF_L2: u32 = 0x61;
const OF_L1: u64 = 0x54;
const PROXY_INTERRUPT: u32 = 0x8001_000f;
const RETARGET: u64 = 0x7e | 2 << 17;

/// The device.
#[derive(Clone, Copy, Debug)]
struct Device {
    devfn: u64,
    registers: u64,
}

pub(super) fn run(tally: &mut Tally) {
    let found = (0..256).find(|devfn| config_read(*devfn, 0) == EDU);
    tally.check("proxied: there is a device", found.is_some(), true);
    let Some(devfn) = found else { return };
    let device = Device { devfn, registers: config_read(devfn, 0x10) & !0xf };
    // A message is a write to memory: memory and bus master.
    config_write(devfn, 4, 6);
    program(devfn, OF_L2);
    one(tally, device);
    merged(tally, device);
    redirected(tally, device);
    config_write(devfn, msi(devfn), 0);
}

/// One interrupt is one message with its number.
fn one(tally: &mut Tally, device: Device) {
    ring(device);
    tally.check("proxied: a message comes", comes(|| pending_vector() != 0), true);
    tally.check("proxied: by an interrupt", interrupts(), (1, PROXY_VECTOR));
    let message = take(0).map(|message| (message.kind, message.length, message.words[0] & 0xffff));
    tally.check("proxied: one vector", message, Some((PROXY_INTERRUPT, 36, 0)));
    tally.check("proxied: nothing more", take(0), None);
}

/// While the slot is taken, others gather, and come as a set.
fn merged(tally: &mut Tally, device: Device) {
    ring(device);
    tally.check("proxied: again", comes(|| pending_vector() != 0), true);
    for vector in [0x25, 0xe2, 0x25] {
        program(device.devfn, vector);
        ring(device);
    }
    // The exit by which the last one is seen, whenever it came.
    let waits = comes(|| {
        super::rdmsr(super::VP_INDEX);
        super::word(super::MESSAGES + 4) & 0x100 != 0
    });
    tally.check("proxied: more is said to wait", waits, true);
    let first = take(0).map(|message| (message.words[0], message.words[1]));
    tally.check("proxied: the first alone", first, Some((0, OF_L2)));
    interrupts();
    tally.check("proxied: waits for the end of message", take(0), None);
    tally.check("proxied: end of message", end_of_message(), 0);
    tally.check("proxied: interrupt of the set", interrupts(), (1, PROXY_VECTOR));
    let set = take(0).map(|message| {
        let words: [u32; 8] = core::array::from_fn(|index| message.words[1 + index]);
        (message.words[0], words)
    });
    let wanted = [0, 1 << 5, 0, 0, 0, 0, 0, 1 << 2];
    tally.check("proxied: a set", set, Some((1 << 8, wanted)));
}

/// With the flag, the vector is L1's own; if the host has no such thing, it refuses.
fn redirected(tally: &mut Tally, device: Device) {
    program(device.devfn, OF_L2);
    let redirects = capabilities() == 1 << 34;
    let redirect = retarget(device.devfn, OF_L1, 6);
    tally.check("redirect: as the capabilities say", redirect, if redirects { 0 } else { 5 });
    interrupts();
    ring(device);
    if redirects {
        let came = comes(|| interrupts() == (1, OF_L1));
        tally.check("redirect: posted to L1's own vector", came, true);
        tally.check("redirect: without a message", take(0), None);
    } else {
        tally.check("redirect: proxied still", comes(|| pending_vector() == OF_L2), true);
        let _ = (interrupts(), take(0));
    }
    tally.check("redirect: no such device", retarget(0xf8, OF_L1, 2), 5);
    tally.check("redirect: no such flag", retarget(device.devfn, OF_L1, 8), 5);
    tally.check("redirect: back to L2's", retarget(device.devfn, OF_L1 + 0x20, 2), 0);
    ring(device);
    let back = comes(|| u64::from(pending_vector()) == OF_L1 + 0x20);
    tally.check("redirect: proxied again", back, true);
    let _ = (interrupts(), take(0));
}

/// The vector of the message of source 0, or 0.
fn pending_vector() -> u32 {
    if super::word(super::MESSAGES) == 0 { 0 } else { super::word(super::MESSAGES + 20) }
}

fn ring(device: Device) {
    set_word(device.registers + RAISE, 1);
    set_word(device.registers + ACKNOWLEDGE, 1);
}

/// Device, MSI, vector, flags, and CPU 0 as a set.
fn retarget(devfn: u64, vector: u64, flags: u64) -> u64 {
    let message = 0xfee0_0000 | u64::from(OF_L2) << 32;
    let words = [u64::MAX, 1 << 62 | devfn, 1, message, 0, vector | flags << 32, 0, 1, 1];
    for (word, at) in words.into_iter().zip((HYPERCALL..).step_by(8)) {
        write(at, word);
    }
    hypercall(RETARGET, of(HYPERCALL), 0)
}

fn capabilities() -> u64 {
    write(HYPERCALL, u64::MAX);
    write(HYPERCALL + 8, 0xffff_fffe);
    write(HYPERCALL + 16, 0x000d_0006);
    let _ = hypercall(1 << 32 | 0x50, of(HYPERCALL), of(OUTPUT));
    read(OUTPUT)
}

/// Has the device send a message with this vector to CPU 0.
fn program(devfn: u64, vector: u32) {
    let at = msi(devfn);
    config_write(devfn, at + 4, 0xfee0_0000);
    config_write(devfn, at + 8, 0);
    config_write(devfn, at + 12, vector);
    config_write(devfn, at, 1 << 16);
}

/// Where the MSI capability is.
fn msi(devfn: u64) -> u64 {
    let mut at = config_read(devfn, 0x34) & 0xfc;
    for _ in 0..16 {
        let capability = config_read(devfn, at);
        if capability & 0xff == 5 {
            break;
        }
        at = capability >> 8 & 0xfc;
    }
    at
}

fn config_read(devfn: u64, offset: u64) -> u64 {
    select(devfn, offset);
    port(0xcfc, None) & 0xffff_ffff
}

fn config_write(devfn: u64, offset: u64, value: u32) {
    select(devfn, offset);
    port(0xcfc, Some(value));
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of functions and registers are small")]
fn select(devfn: u64, offset: u64) {
    port(0xcf8, Some(1 << 31 | (devfn as u32) << 8 | offset as u32));
}
