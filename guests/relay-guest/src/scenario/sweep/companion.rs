// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other CPU: awake in the guest all the time, and without an exit of its own but for what it is told to do.
//!
//! # Orderings
//! Whose turn it is is one count: an even one is CPU 0's. It is increased with Release and read with Acquire.

use core::arch::x86_64::__cpuid;
use core::hint::spin_loop;
use core::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

use x86_64::instructions::interrupts;

use super::{MARK, MOVED, Way, alone, settle};
use crate::devices::doorbell::Doorbell;
use crate::failure::Failure;
use crate::interrupts::DELAY;
use crate::vectors::{self, Set};
use crate::{apic, cpus, wait};

/// Its number.
const CPU: u8 = 1;

static TURN: AtomicU32 = AtomicU32::new(0);

/// What it shall do in its turn; nothing but wait for a request if both are 0.
static PASSES: AtomicU32 = AtomicU32::new(0);
static EXITS: AtomicU32 = AtomicU32::new(0);

/// From now on it sends CPU 0 an interrupt for each one of a device that it takes.
pub(super) fn echo_all() {
    DELAY.call_once(|| echo);
}

/// Starts it.
pub(super) fn start() -> Result<(), Failure> {
    TURN.store(1, Release);
    cpus::put_to_work(CPU, live);
    await_own_turn()
}

/// Makes it go the way, and waits for that.
pub(super) fn go(way: Way) -> Result<(), Failure> {
    let task = if way == Way::Pass { &PASSES } else { &EXITS };
    task.store(1, Relaxed);
    TURN.fetch_add(1, Release);
    await_own_turn()
}

/// Moves an entry between two of its vectors and back, while it waits for nothing but that: the way back is the one.
pub(super) fn serve_change(bell: &Doorbell) -> Result<(), Failure> {
    bell.assign(MOVED, Set::Second, CPU)?;
    bell.announce(MOVED, Set::First, CPU);
    TURN.fetch_add(1, Release);
    await_own_turn()?;
    bell.msix().unmask(MOVED)?;
    TURN.fetch_add(1, Release);
    await_own_turn()
}

fn await_own_turn() -> Result<(), Failure> {
    wait::poll_until("the other CPU", || TURN.load(Acquire).is_multiple_of(2))
}

/// Its life.
fn live() {
    interrupts::enable();
    let mut is_marked = false;
    loop {
        TURN.fetch_add(1, Release);
        while TURN.load(Acquire).is_multiple_of(2) {
            spin_loop();
        }
        if PASSES.swap(0, Relaxed) != 0 {
            alone(Way::Pass);
            settle();
        } else if EXITS.swap(0, Relaxed) != 0 {
            alone(Way::Exit);
            settle();
        } else if is_marked {
            settle();
            is_marked = false;
        } else {
            __cpuid(MARK);
            is_marked = true;
        }
    }
}

/// What every handler does first.
fn echo() {
    if cpus::current() == CPU {
        apic::interrupt(0, vectors::ECHO);
    }
}
