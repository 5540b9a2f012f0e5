// SPDX-License-Identifier: MIT OR Apache-2.0
//! RAX, leaf numbers, `TDG.VP.INFO`, `TDG.VP.VMCALL`.
//!
//! Spec: TDX-ABI "TDCALL Instruction (Common)", "TDG.VP.INFO Leaf", "TDG.VP.VMCALL Leaf".

use tdcall::Registers;

use super::non_maskable;
use crate::{
    door,
    tally::{JUNK, Tally},
};

const OPERAND_INVALID_RAX: u64 = 0xc000_0100_0000_0000;
const OPERAND_INVALID_RCX: u64 = 0xc000_0100_0000_0001;

pub(super) fn run(tally: &mut Tally) {
    rax(tally);
    info(tally);
    vmcall(tally);
}

fn rax(tally: &mut Tally) {
    let rows = [
        ("rax: leaf 13 does not exist", 13),
        ("rax: leaf 17 does not exist", 17),
        ("rax: leaf 19 does not exist", 19),
        ("rax: leaf 21 does not exist", 21),
        ("rax: leaf 28 does not exist", 28),
        ("rax: leaf 0xffff does not exist", 0xffff),
        ("rax: VP.INFO has no version 1", 1 | 1 << 16),
        ("rax: VM.RD has no version 2", 7 | 2 << 16),
        ("rax: VP.ENTER has no version 1", 25 | 1 << 16),
        ("rax: bit 24 is reserved", 1 | 1 << 24),
        ("rax: bit 31 is reserved", 1 | 1 << 31),
        ("rax: bit 32 is reserved", 1 | 1 << 32),
        ("rax: bit 63 is reserved", 1 | 1 << 63),
    ];
    for (name, rax) in rows {
        tally.status(name, Registers { rax, ..JUNK }, OPERAND_INVALID_RAX);
    }
}

fn info(tally: &mut Tally) {
    // Whoever built the TD chose how many CPUs; all of them are initialized.
    let cpus = non_maskable::cpus();
    tally.call("vp.info: CPUs, SEPT_VE_DISABLE", Registers { rax: 1, ..JUNK }, |r| {
        (r.rax, r.rcx, r.rdx, r.r8) = (0, 48, 0x1000_0000, cpus << 32 | cpus);
        (r.r9, r.r10, r.r11) = (0, 1, 0);
    });
    let mut registers = Registers { rax: 1, ..JUNK };
    let rbp = door::tdcall(&mut registers);
    tally.check("vp.info: RBP is kept", rbp, door::RBP_BEFORE);
}

fn vmcall(tally: &mut Tally) {
    let rows = [
        ("vp.vmcall: RAX cannot be passed", 1 << 0),
        ("vp.vmcall: RCX cannot be passed", 1 << 1),
        ("vp.vmcall: RSP cannot be passed", 1 << 4),
        ("vp.vmcall: RCX bit 32 is reserved", 1 << 32),
        ("vp.vmcall: RCX bit 63 is reserved", 1 << 63),
    ];
    for (name, rcx) in rows {
        tally.status(name, Registers { rcx, ..JUNK }, OPERAND_INVALID_RCX);
    }
    // Instruction.IO: write 0x55 to port 0x80, which nobody answers.
    let input =
        Registers { rcx: 0xfc00, r10: 0, r11: 30, r12: 1, r13: 1, r14: 0x80, r15: 0x55, ..JUNK };
    let mut got = input;
    door::tdcall(&mut got);
    // R11 to R15 are the host's to change.
    let seen = Registers { r11: 30, r12: 1, r13: 1, r14: 0x80, r15: 0x55, ..got };
    tally.registers("vp.vmcall: what is not passed is kept", &seen, &input);
}
