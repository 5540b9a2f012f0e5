// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.INVEPT` and `TDG.VP.INVGLA`: operands.
//!
//! Spec: TDX-ABI "TDG.VP.INVEPT Leaf", "TDG.VP.INVGLA Leaf".

use tdcall::Registers;

use crate::{
    memory::{self, OPERANDS, SHARED},
    tally::{JUNK, Tally},
};

const RCX: u64 = 0xc000_0100_0000_0001;
const RDX: u64 = 0xc000_0100_0000_0002;
const NOT_CANONICAL: u64 = 0xc000_1160_0000_0000;
const VM1: u64 = 1 << 52;

pub(super) fn run(tally: &mut Tally) {
    let invept = |rcx| Registers { rax: 26, rcx, ..JUNK };
    let rows = [
        ("invept: VM 0", invept(1), RCX),
        ("invept: VM 3", invept(8), RCX),
        ("invept: bit 63", invept(1 << 63), RCX),
        ("invept: VM 1", invept(2), 0),
        ("invept: VM 2", invept(4), 0),
        ("invept: none", invept(0), 0),
    ];
    for (name, input, status) in rows {
        tally.status(name, input, status);
    }
    let invgla = |rcx, rdx| Registers { rax: 27, rcx, rdx, ..JUNK };
    let rows = [
        ("invgla: VM 0", invgla(0, 0x1000), RCX),
        ("invgla: VM 3", invgla(3 << 52, 0x1000), RCX),
        ("invgla: VM 2, one page", invgla(2 << 52, 0x1000), 0),
        ("invgla: bit 1 is reserved", invgla(VM1 | 2, 0x1000), RCX),
        ("invgla: bit 54 is reserved", invgla(VM1 | 1 << 54, 0x1000), RCX),
        ("invgla: one page", invgla(VM1, 0x1000), 0),
        ("invgla: 512 pages, upper half", invgla(VM1, 0xffff_8000_0000_01ff), 0),
        ("invgla: not canonical", invgla(VM1, 1 << 47), NOT_CANONICAL),
        ("invgla: list, reserved bit 9", invgla(VM1 | 1, OPERANDS | 0x200), RDX),
        ("invgla: list, reserved bit 62", invgla(VM1 | 1, OPERANDS | 1 << 62), RDX),
        ("invgla: list beyond 512", invgla(VM1 | 1, OPERANDS | 1 | 512 << 52), RDX),
        ("invgla: list in shared memory", invgla(VM1 | 1, SHARED | 1 << 52), RDX),
    ];
    for (name, input, status) in rows {
        tally.status(name, input, status);
    }
    memory::write(OPERANDS, 0x1000);
    memory::write(OPERANDS + 8, 1 << 50);
    let list = invgla(VM1 | 1, OPERANDS | 2 << 52);
    tally.call("invgla: list with an entry not canonical", list, |r| r.rax = NOT_CANONICAL);
}
