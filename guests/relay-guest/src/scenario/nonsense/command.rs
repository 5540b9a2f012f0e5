// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonsense in the interrupt command register: every mode to every kind of receiver, with vectors that
//! no CPU takes. Then the other CPUs are reset and started again.

use core::sync::atomic::Ordering;

use super::access::Numbers;
use crate::console::line;
use crate::failure::Failure;
use crate::interrupts::ECHOES;
use crate::ring::{self, Mode, Registers};
use crate::{apic, cpus, handled, vectors};

const ICR: u64 = 0x830;
const SELF_IPI: u64 = 0x83f;
const FIXED: u64 = 0;
const LOWEST_PRIORITY: u64 = 1;
const NMI: u64 = 4;
const INIT: u64 = 5;
const START_UP: u64 = 6;
/// NMIs that wait for one another.
const CHAIN: u32 = 10;
/// CPUs that do not exist, by number and by cluster.
const NOBODY: [u64; 6] = [16, 0xf0, 0x1_0000, 0xffff_0000, 0x7fff_ffff, 0xffff_fffe];

/// Sends them.
pub(super) fn run(cpus: u8) -> Result<(), Failure> {
    let mut sent = 0;
    let mut send = |msr, value| sent += write(msr, value);
    for mode in 0..8 {
        // To nobody: any vector, logical or not, level or not.
        for destination in NOBODY {
            for bits in [0, 1 << 11, 1 << 14, 1 << 15, 1 << 12 | 1 << 13] {
                for vector in [0, 15, 16, 81, 255] {
                    send(ICR, destination << 32 | bits | mode << 8 | vector);
                }
            }
        }
        // To this CPU and to all, by shorthand: what is no interrupt is not sent to oneself.
        for shorthand in [1 << 18, 2 << 18] {
            let vectors = if matches!(mode, FIXED | LOWEST_PRIORITY) { 0..16 } else { 0..256 };
            vectors.for_each(|vector| send(ICR, shorthand | mode << 8 | vector));
        }
        // To the others: everything but resets, which come below.
        if !matches!(mode, INIT | START_UP | NMI) {
            (0..16).for_each(|vector| send(ICR, 3 << 18 | mode << 8 | vector));
        }
    }
    let numbers = Numbers::new();
    for _ in 0..1_000 {
        let [vector, ..] = numbers.next().to_le_bytes();
        let reserved = numbers.next() & 0xfff2_3000;
        send(ICR, NOBODY[0] << 32 | reserved & !(3 << 18) | u64::from(vector));
    }
    for value in (0..16).chain([0x100, 1 << 31, u64::MAX]) {
        send(SELF_IPI, value);
    }
    line!("result nonsense=command sent={sent}");
    for _ in 0..20 {
        non_maskable(cpus)?;
    }
    storm(cpus)?;
    // Starts that find nobody waiting, then resets, and real starts.
    (1..cpus).for_each(|cpu| _ = write(ICR, u64::from(cpu) << 32 | START_UP << 8 | 0xff));
    cpus::restart(cpus)
}

/// One NMI for each of the others, which count it.
fn non_maskable(cpus: u8) -> Result<(), Failure> {
    let before = handled::of(vectors::NMI);
    write(ICR, 3 << 18 | NMI << 8);
    let wanted = before + u64::from(cpus - 1);
    crate::wait::poll_until("NMIs", || handled::of(vectors::NMI) >= wanted)
}

/// More NMIs than the others can take: one waits while one is handled, the rest are merged with it.
fn storm(cpus: u8) -> Result<(), Failure> {
    let before = handled::of(vectors::NMI);
    (0..200).for_each(|_| _ = write(ICR, 3 << 18 | NMI << 8));
    if cpus > 1 {
        crate::wait::poll_until("NMIs of a storm", || handled::of(vectors::NMI) != before)?;
    }
    crate::wait::until_quiet(crate::wait::SHORT);
    line!("result nonsense=nmi taken={}", handled::of(vectors::NMI) - before);
    // One to this CPU, whose handler sends the next, which has to wait until it returns.
    let before = handled::on(vectors::NMI, 0);
    ECHOES.store(CHAIN, Ordering::Relaxed);
    apic::non_maskable(0);
    let wanted = before + u64::from(CHAIN) + 1;
    crate::wait::poll_until("a chain of NMIs", || handled::on(vectors::NMI, 0) == wanted)
}

fn write(msr: u64, value: u64) -> u32 {
    let registers =
        Registers { rcx: msr, rax: value & 0xffff_ffff, rdx: value >> 32, ..Registers::default() };
    u32::from(ring::run(Mode::Kernel64, &[0x0f, 0x30], registers, 0).is_some())
}
