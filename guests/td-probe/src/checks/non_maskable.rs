// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs from the host, what a TD is never sent, and what ends a halt.
//!
//! The halts need a second virtual CPU that interrupts the first; without one they are left out.
//!
//! # Orderings
//! The order to the helper is stored with Release, after its commands.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<Instruction.HLT>`"; TDX-BASE "NMI"; SDM "Interrupt Command Register (ICR)".

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use tdcall::Registers;
use x86_64::instructions::interrupts;

use super::msr::wrmsr;
use crate::{
    boot::{COMMANDS, HELP, HELPED},
    door,
    tally::{JUNK, Tally},
    trap,
};

const EOI: u32 = 0x80b;
const VECTOR: u64 = 0x51;
const TO_SELF: u64 = 1 << 18;
const NMI: u64 = 4 << 8;
/// Ticks of the time-stamp counter after which no NMI is on its way.
const SETTLED: u64 = 20_000_000;
const INVALID_OPERAND: u64 = 1 << 63;

pub(super) fn run(tally: &mut Tally) {
    refused(tally);
    collapse(tally);
    if cpus() > 1 {
        halts(tally);
    }
}

/// Sends an NMI to this CPU. Context: anywhere.
pub(crate) fn send_to_self() {
    command(TO_SELF | NMI);
}

/// SMI, INIT and start-up would change what the host must not.
fn refused(tally: &mut Tally) {
    for (name, mode) in [("icr: SMI", 2), ("icr: INIT", 5), ("icr: start-up", 6)] {
        tally.check(name, command(TO_SELF | mode << 8 | 0x40), INVALID_OPERAND);
    }
}

/// An NMI comes at once; of three that are sent while one is being handled, one is left.
fn collapse(tally: &mut Tally) {
    let before = trap::NMIS.load(Relaxed);
    tally.check("nmi: sent", command(TO_SELF | NMI), 0);
    tally.check("nmi: taken, with interrupts off", trap::NMIS.load(Relaxed) - before, 1);
    trap::BURST.store(3, Relaxed);
    send_to_self();
    // The handler's IRET is a moment ago; what waited for it comes now, and nothing after it.
    let since = cpu::tsc();
    while cpu::tsc().wrapping_sub(since) < SETTLED {
        core::hint::spin_loop();
    }
    tally.check("nmi: three more are one", trap::NMIS.load(Relaxed) - before, 3);
}

fn halts(tally: &mut Tally) {
    let (nmis, interrupts) = (trap::NMIS.load(Relaxed), trap::interrupts().count);
    order([VECTOR, NMI]);
    let halted = (hlt(1), trap::NMIS.load(Relaxed) - nmis);
    tally.check("halt: an interrupt did not end it, an NMI did", halted, (0, 1));
    tally.check("halt: the interrupt waits", trap::interrupts().count - interrupts, 0);
    take_interrupt();
    tally.check("halt: and is taken", trap::interrupts().count - interrupts, 1);
    wait_for_helper(2);
    // Were it not for the first of them, this would be for ever.
    order([VECTOR, VECTOR]);
    let halted = (hlt(0), trap::NMIS.load(Relaxed) - nmis);
    tally.check("halt: an interrupt ended it", halted, (0, 1));
    wait_for_helper(4);
    take_interrupt();
}

/// Takes one interrupt and ends it.
fn take_interrupt() {
    interrupts::enable();
    interrupts::disable();
    let _ = wrmsr(EOI, 0);
}

/// Has the helper send `commands` to this CPU, with a pause before each.
fn order(commands: [u64; 2]) {
    for (place, command) in COMMANDS.iter().zip(commands) {
        place.store(command, Relaxed);
    }
    HELP.store(1, Release);
}

fn wait_for_helper(executed: u32) {
    while HELPED.load(Acquire) < executed {
        core::hint::spin_loop();
    }
    // What it sent last is still on its way.
    (0..100_000).for_each(|_| core::hint::spin_loop());
}

/// Has the host execute an interrupt command; returns its status.
fn command(value: u64) -> u64 {
    vmcall(32, 0x830, value)
}

fn hlt(blocked: u64) -> u64 {
    vmcall(12, blocked, 0)
}

fn vmcall(function: u64, r12: u64, r13: u64) -> u64 {
    let mut r = Registers { rax: 0, rcx: 0x3c00, r10: 0, r11: function, r12, r13, ..JUNK };
    door::tdcall(&mut r);
    // No exception is expected of the call.
    let _ = trap::taken();
    r.r10
}

/// `TDG.VP.INFO`, R8: virtual CPUs.
pub(super) fn cpus() -> u64 {
    let mut r = Registers { rax: 1, ..JUNK };
    door::tdcall(&mut r);
    let _ = trap::taken();
    r.r8 & 0xffff_ffff
}
