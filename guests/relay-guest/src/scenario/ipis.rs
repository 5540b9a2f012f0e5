// SPDX-License-Identifier: MIT OR Apache-2.0
//! All CPUs interrupt each other, by many vectors at once.
//!
//! Each sender has vectors of its own, sends each of them to each other CPU, and sends none again before
//! it was taken: so none may merge, and each is an interrupt of its own, however many are under way.

use core::sync::atomic::{AtomicU32, Ordering};

use x86_64::instructions::interrupts;

use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;
use crate::vectors::{self, Set};
use crate::{apic, cpus, handled, wait};

/// Vectors of one sender, and how many senders there are vectors for.
const VECTORS: u16 = 32;
const SENDERS: u8 = 4;

/// What the other CPUs shall do: rounds, then CPUs, which says "go".
static ROUNDS: AtomicU32 = AtomicU32::new(0);
static CPUS: AtomicU32 = AtomicU32::new(0);

/// CPUs that stand ready, and those that are done.
static READY: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);

/// Sends with all CPUs at once and checks what each of them took.
pub(crate) fn run(machine: &Machine<'_>) -> Result<(), Failure> {
    let (rounds, count) = (machine.count(50), machine.cpus());
    if !(2..=SENDERS).contains(&count) {
        return Err(Failure::BadDevice("two to four CPUs wanted"));
    }
    ROUNDS.store(rounds, Ordering::Relaxed);
    for cpu in 1..count {
        cpus::put_to_work(cpu, work);
        wait::poll_until("a sender", || READY.load(Ordering::Acquire) == u32::from(cpu))?;
    }
    CPUS.store(count.into(), Ordering::Release);
    send_all(0, count, rounds)?;
    let others = u32::from(count) - 1;
    wait::poll_until("the other senders", || DONE.load(Ordering::Acquire) == others)?;
    let sent = u64::from(rounds) * u64::from(VECTORS);
    let mut taken = 0;
    for (sender, receiver) in
        (0..count).flat_map(|cpu| others_of(cpu, count).map(move |to| (cpu, to)))
    {
        for number in 0..VECTORS {
            let handled = handled::on(vector(sender, number), receiver);
            if handled != sent / u64::from(VECTORS) {
                let entry = u16::from(sender) * VECTORS + number;
                return Err(Failure::Count { entry, wanted: rounds.into(), handled });
            }
            taken += handled;
        }
    }
    let all = sent * u64::from(count) * u64::from(others);
    line!("result ipis sent={all} taken={taken}");
    Ok(())
}

/// The life of another sender.
fn work() {
    interrupts::enable();
    READY.fetch_add(1, Ordering::Release);
    let go = || CPUS.load(Ordering::Acquire) != 0;
    if wait::poll_until("the first round", go).is_err() {
        return;
    }
    let [count, ..] = CPUS.load(Ordering::Acquire).to_le_bytes();
    if send_all(cpus::current(), count, ROUNDS.load(Ordering::Relaxed)).is_ok() {
        DONE.fetch_add(1, Ordering::Release);
    }
}

/// Sends all rounds of `sender`, each when the one before it was taken.
fn send_all(sender: u8, count: u8, rounds: u32) -> Result<(), Failure> {
    for round in 1..=u64::from(rounds) {
        for number in 0..VECTORS {
            for receiver in others_of(sender, count) {
                apic::interrupt(receiver, vector(sender, number));
            }
        }
        wait::poll_until("interrupts by other CPUs", || {
            others_of(sender, count).all(|receiver| {
                (0..VECTORS).all(|number| handled::on(vector(sender, number), receiver) == round)
            })
        })?;
    }
    Ok(())
}

fn others_of(sender: u8, count: u8) -> impl Iterator<Item = u8> {
    (0..count).filter(move |cpu| *cpu != sender)
}

/// The vector that `sender` sends as its `number`th: one of the doorbell's, which is not rung here.
fn vector(sender: u8, number: u16) -> u8 {
    let set = if sender < SENDERS / 2 { Set::First } else { Set::Second };
    vectors::doorbell(set, u16::from(sender % 2) * VECTORS + number)
}
