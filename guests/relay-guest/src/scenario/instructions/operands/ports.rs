// SPDX-License-Identifier: MIT OR Apache-2.0
//! IN, OUT, INS, OUTS in every size, with and without REP, allowed and not.

use super::super::row::Ends;
use super::super::{Attempt, Tally};
use super::{DONE, GP};
use crate::ring::{Mode, Registers, close_to_user, scratch};

/// Ports that end nothing and configure nothing: POST codes, disk, video, the second serial port, and
/// none at all.
const PORTS: [u64; 7] = [0x80, 0x84, 0x1f0, 0x3c8, 0x2f8, 0x1234, 0xffff];

/// RFLAGS: ring 3 may use ports; strings go down.
const IOPL_3: u64 = 3 << 12;
const DOWN: u64 = 1 << 10;

/// IN AL, AX, EAX; OUT the same; by DX and by immediate.
const SINGLE: [&[u8]; 12] = [
    &[0xec],
    &[0x66, 0xed],
    &[0xed],
    &[0xee],
    &[0x66, 0xef],
    &[0xef],
    &[0xe4, 0x80],
    &[0x66, 0xe5, 0x80],
    &[0xe5, 0x80],
    &[0xe6, 0x80],
    &[0x66, 0xe7, 0x80],
    &[0xe7, 0x80],
];

/// INS and OUTS of bytes, words and double words: alone, with REP, with REPNE.
const STRINGS: [&[u8]; 18] = [
    &[0x6c],
    &[0x66, 0x6d],
    &[0x6d],
    &[0x6e],
    &[0x66, 0x6f],
    &[0x6f],
    &[0xf3, 0x6c],
    &[0xf3, 0x66, 0x6d],
    &[0xf3, 0x6d],
    &[0xf3, 0x6e],
    &[0xf3, 0x66, 0x6f],
    &[0xf3, 0x6f],
    &[0xf2, 0x6c],
    &[0xf2, 0x66, 0x6d],
    &[0xf2, 0x6d],
    &[0xf2, 0x6e],
    &[0xf2, 0x66, 0x6f],
    &[0xf2, 0x6f],
];

/// REP INSB and REP OUTSB with the address size that is not the code's own.
const OTHER_ADDRESS_SIZE: [&[u8]; 2] = [&[0x67, 0xf3, 0x6c], &[0x67, 0xf3, 0x6e]];

/// Executes them all.
pub(super) fn run(tally: &mut Tally) {
    for code in SINGLE {
        for port in PORTS {
            let registers = Registers { rdx: port, rax: 0x1234_5678, ..Registers::default() };
            everywhere(tally, &Attempt { registers, ..Attempt::new("in-out", code, DONE) });
        }
    }
    for code in STRINGS {
        for count in [0, 1, 3, 600] {
            everywhere(tally, &string(code, scratch(), count));
        }
        let down = Attempt { flags: DOWN, ..string(code, scratch() + 2400, 600) };
        everywhere(tally, &down);
        // Nothing is mapped there, or cannot be.
        let fault = Ends::PF.or(GP);
        for address in [5 << 30, 1 << 63] {
            let attempt = Attempt { wanted: fault, ..string(code, address, 2) };
            tally.check(Mode::Kernel64, &attempt);
            tally.check(Mode::User64, &Attempt { flags: IOPL_3, ..attempt });
        }
    }
    // The other address size: what is above the registers that it uses is no part of the count.
    for code in OTHER_ADDRESS_SIZE {
        tally.check(Mode::Kernel64, &string(code, scratch(), 1 << 32 | 3));
    }
    tally.check(Mode::Kernel32, &string(OTHER_ADDRESS_SIZE[1], scratch(), 1 << 28 | 3));
    of_the_kernel(tally);
}

/// A string of `count` units at `address`.
fn string(code: &'static [u8], address: u64, count: u64) -> Attempt {
    let registers =
        Registers { rcx: count, rdx: 0x80, rsi: address, rdi: address, ..Registers::default() };
    Attempt { registers, ..Attempt::new("ins-outs", code, DONE) }
}

/// Memory of the kernel's, which no one uses, must not be reached by a port that ring 3 may use.
fn of_the_kernel(tally: &mut Tally) {
    const MEMORY: u64 = 96 << 20;
    close_to_user(MEMORY);
    for code in STRINGS {
        let attempt = string(code, MEMORY, 3);
        tally.check(Mode::Kernel64, &attempt);
        for mode in [Mode::User64, Mode::User32] {
            tally.check(mode, &Attempt { flags: IOPL_3, wanted: Ends::PF, ..attempt });
        }
    }
}

/// In ring 0, in a ring 3 that may and in one that may not.
fn everywhere(tally: &mut Tally, attempt: &Attempt) {
    tally.everywhere(attempt, GP);
    for mode in [Mode::User64, Mode::User32] {
        tally.check(mode, &Attempt { flags: attempt.flags | IOPL_3, ..*attempt });
    }
}
