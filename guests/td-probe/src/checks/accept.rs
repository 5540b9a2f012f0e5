// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MEM.PAGE.ACCEPT`.
//!
//! Spec: TDX-ABI "TDG.MEM.PAGE.ACCEPT Leaf".

use tdcall::Registers;

use crate::{
    memory::{self, HAND_OFF, LARGE, PAGES, SHARED, SMALL, SPLIT},
    tally::{JUNK, Tally},
};

const OPERAND_INVALID_RCX: u64 = 0xc000_0100_0000_0001;

pub(super) fn run(tally: &mut Tally) {
    let rows = [
        ("accept: level 2 does not exist", LARGE | 2, OPERAND_INVALID_RCX),
        ("accept: level 7 does not exist", LARGE | 7, OPERAND_INVALID_RCX),
        ("accept: bit 3 is reserved", LARGE | 8, OPERAND_INVALID_RCX),
        ("accept: bit 11 is reserved", LARGE | 0x800, OPERAND_INVALID_RCX),
        ("accept: bit 52 is reserved", LARGE | 1 << 52, OPERAND_INVALID_RCX),
        ("accept: bit 63 is reserved", LARGE | 1 << 63, OPERAND_INVALID_RCX),
        ("accept: beyond the address width", LARGE | 1 << 48, OPERAND_INVALID_RCX),
        ("accept: shared memory", LARGE | SHARED, OPERAND_INVALID_RCX),
        ("accept: 2 MiB not aligned", LARGE + 0x1000 + 1, OPERAND_INVALID_RCX),
        ("accept: page of the hand-off block again", HAND_OFF, 0x0000_0b0a_0000_0000),
        ("accept: page of the image again", 0xffff_f000, 0x0000_0b0a_0000_0000),
        ("accept: 2 MiB around the image", 0xffe0_0001, 0xc000_0b0b_0000_0001),
        ("accept: 2 MiB", LARGE | 1, 0),
        ("accept: 2 MiB again", LARGE | 1, 0x0000_0b0a_0000_0001),
        ("accept: a page of accepted 2 MiB", LARGE + 0x5000, 0x0000_0b0a_0000_0001),
        ("accept: a page", SMALL, 0),
        ("accept: a page again", SMALL, 0x0000_0b0a_0000_0000),
        ("accept: 2 MiB with an accepted page in it", SMALL | 1, 0xc000_0b0b_0000_0001),
    ];
    for (name, rcx, status) in rows {
        tally.status(name, Registers { rax: 6, rcx, ..JUNK }, status);
    }
    for page in 1..PAGES {
        let rcx = SMALL + page * 0x1000;
        tally.status("accept: one more page", Registers { rax: 6, rcx, ..JUNK }, 0);
    }
    zeros(tally);
    pending_in_part(tally);
}

fn zeros(tally: &mut Tally) {
    let not_zero = (0..512).filter(|word| memory::read(SMALL + word * 8) != 0).count();
    tally.check("accept: a page is zero", not_zero, 0);
    memory::write(SMALL, 0x1234);
    let again = Registers { rax: 6, rcx: SMALL, ..JUNK };
    tally.status("accept: a page that holds something", again, 0x0000_0b0a_0000_0000);
    tally.check("accept: and it still does", memory::read(SMALL), 0x1234);
    memory::write(SMALL, 0);
}

/// 2 MiB that are pending as one and accepted in part: the host must split them.
fn pending_in_part(tally: &mut Tally) {
    let read = Registers { rax: 23, rcx: SPLIT + 0x123, ..JUNK };
    tally.call("attr.rd: 2 MiB that the host gives now are pending", read, |r| {
        (r.rax, r.rcx, r.rdx) = (0, SPLIT | 1 | 1 << 62, 0);
    });
    let page = Registers { rax: 6, rcx: SPLIT + 0x7000, ..JUNK };
    tally.status("accept: a page of pending 2 MiB", page, 0);
    let next = Registers { rax: 23, rcx: SPLIT + 0x8000, ..JUNK };
    tally.call("attr.rd: the next page is pending, and small", next, |r| {
        (r.rax, r.rcx, r.rdx) = (0, (SPLIT + 0x8000) | 1 << 62, 0);
    });
    let this = Registers { rax: 23, rcx: SPLIT + 0x7fff, ..JUNK };
    tally.call("attr.rd: the accepted page is neither", this, |r| {
        (r.rax, r.rcx, r.rdx) = (0, SPLIT + 0x7000, 0);
    });
}
