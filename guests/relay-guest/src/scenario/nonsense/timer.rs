// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonsense in the local vectors and the timer: vectors that no CPU takes, every division, counts and
//! deadlines at the ends of what is possible, and a period of one tick.

use super::access::Numbers;
use crate::console::line;
use crate::failure::Failure;
use crate::ring::{self, Mode, Registers};
use crate::vectors::TIMER;
use crate::{handled, wait};

const TIMER_VECTOR: u64 = 0x832;
const INITIAL_COUNT: u64 = 0x838;
const DIVIDE: u64 = 0x83e;
const DEADLINE: u64 = 0x6e0;
const PERIODIC: u64 = 1 << 17;
const DEADLINE_MODE: u64 = 2 << 17;
const MASKED: u64 = 1 << 16;
/// No division.
const BY_1: u64 = 0xb;

/// Work that has to be done while the timer rings.
const WORK: u32 = 2_000_000;
/// Interrupts that must come meanwhile.
const LEAST: u64 = 5;

/// Writes nonsense, then shows that the timer and this CPU still go.
pub(super) fn run() -> Result<(), Failure> {
    let numbers = Numbers::new();
    let mut written = 0;
    for register in 0x80e..=0x840 {
        // The command register and what interrupts this CPU at once have a part of their own.
        if matches!(register, 0x80f | 0x830 | TIMER_VECTOR | 0x83f) {
            continue;
        }
        for value in [0, 15, 0xffff_ffff, u64::MAX, numbers.next(), numbers.next() & 0xffff_ffff] {
            written += write(register, value);
        }
        written += write(register, if (0x832..=0x837).contains(&register) { MASKED } else { 0 });
    }
    for mode in [0, PERIODIC, DEADLINE_MODE, PERIODIC | DEADLINE_MODE] {
        for vector in [0, 1, 15] {
            for divide in 0..16 {
                written += write(TIMER_VECTOR, mode | vector) + write(DIVIDE, divide);
                for count in [1, 0xffff_ffff, numbers.next() & 0xffff, 0] {
                    written += write(INITIAL_COUNT, count);
                }
            }
        }
    }
    written += write(TIMER_VECTOR, DEADLINE_MODE | u64::from(TIMER));
    // Far, farther than any timer reaches, and never.
    for far in [1 << 62, 1 << 63, u64::MAX - 1, u64::MAX, 0] {
        written += write(DEADLINE, far);
    }
    line!("result nonsense=timer written={written}");
    one_shot(1)?;
    one_shot(cpu::tsc() / 2)?;
    one_shot(cpu::tsc().wrapping_add(1_000_000))?;
    shortest_period()
}

/// A deadline is met once, whether it lies behind or ahead.
fn one_shot(deadline: u64) -> Result<(), Failure> {
    let before = handled::of(TIMER);
    write(DEADLINE, deadline);
    wait::poll_until("a deadline", || handled::of(TIMER) == before + 1)
}

/// A period of one tick must not keep this CPU from its work.
fn shortest_period() -> Result<(), Failure> {
    let before = handled::of(TIMER);
    write(TIMER_VECTOR, PERIODIC | u64::from(TIMER));
    write(DIVIDE, BY_1);
    write(INITIAL_COUNT, 1);
    let since = cpu::tsc();
    for _ in 0..WORK {
        core::hint::spin_loop();
    }
    let ticks = cpu::tsc().wrapping_sub(since);
    wait::poll_until("a few periods", || handled::of(TIMER) >= before + LEAST)?;
    write(INITIAL_COUNT, 0);
    write(TIMER_VECTOR, MASKED);
    wait::until_quiet(wait::SHORT);
    line!("result nonsense=period ticks={ticks} interrupts={}", handled::of(TIMER) - before);
    Ok(())
}

fn write(msr: u64, value: u64) -> u32 {
    let registers =
        Registers { rcx: msr, rax: value & 0xffff_ffff, rdx: value >> 32, ..Registers::default() };
    u32::from(ring::run(Mode::Kernel64, &[0x0f, 0x30], registers, 0).is_some())
}
