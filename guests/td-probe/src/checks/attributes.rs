// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.MEM.PAGE.ATTR.RD` and `TDG.MEM.PAGE.ATTR.WR`.
//!
//! Spec: TDX-ABI "TDG.MEM.PAGE.ATTR.RD Leaf", "TDG.MEM.PAGE.ATTR.WR Leaf".

use tdcall::Registers;

use crate::{
    memory::{ATTRIBUTES, LARGE, PENDING, SHARED},
    tally::{JUNK, Tally},
};

const OPERAND_INVALID: u64 = 0xc000_0100_0000_0000;
const PAGE_ATTR_INVALID: u64 = 0xc000_0b11_0000_0000;
/// R, W, Xs, Xu, VALID.
const ALL: u64 = 0x800f;
/// All four rights are to change.
const MASK: u64 = 0xf;
const IS_PENDING: u64 = 1 << 62;

pub(super) fn run(tally: &mut Tally) {
    operands(tally);
    changes(tally);
    another(tally);
    illegal(tally);
    large(tally);
    pending(tally);
}

fn call(page: u64, vm1: u64, flags: u64) -> Registers {
    Registers { rax: 24, rcx: page, rdx: vm1 << 16, r8: flags << 16, ..JUNK }
}

/// Reads the attributes of a page and wants this of them.
fn reads(tally: &mut Tally, name: &str, page: u64, mapping: u64, words: u64) {
    tally.call(name, Registers { rax: 23, rcx: page, ..JUNK }, |r| {
        (r.rax, r.rcx, r.rdx) = (0, mapping, words);
    });
}

/// An error: RCX and RDX are 0.
fn refused(tally: &mut Tally, name: &str, input: Registers, status: u64) {
    tally.call(name, input, |r| (r.rax, r.rcx, r.rdx) = (status, 0, 0));
}

fn operands(tally: &mut Tally) {
    let page = call(ATTRIBUTES, ALL, MASK);
    let rows = [
        ("attr.wr: a word for VM 0", Registers { rdx: 0x8001, r8: 0, ..page }, 2),
        ("attr.wr: flags for VM 0", Registers { rdx: 0, r8: 0xf, ..page }, 8),
        ("attr.wr: a word for VM 3", Registers { rdx: 0x8001 << 48, r8: 0, ..page }, 2),
        ("attr.wr: flags for VM 3", Registers { rdx: 0, r8: 1 << 63, ..page }, 8),
        ("attr.wr: a word without VALID", Registers { rdx: 0x000f << 16, ..page }, 2),
        ("attr.wr: VM 2 without VALID", Registers { rdx: 0x000f << 32, r8: 0, ..page }, 2),
        ("attr.wr: level 3", Registers { rcx: ATTRIBUTES | 3, ..page }, 1),
        ("attr.wr: reserved bit of RCX", Registers { rcx: ATTRIBUTES | 0x100, ..page }, 1),
        ("attr.wr: 2 MiB not aligned", Registers { rcx: ATTRIBUTES | 1, ..page }, 1),
        ("attr.wr: 1 GiB not aligned", Registers { rcx: LARGE | 2, ..page }, 1),
        ("attr.wr: shared memory", Registers { rcx: ATTRIBUTES | SHARED, ..page }, 1),
        ("attr.wr: beyond the address width", Registers { rcx: 1 << 50, ..page }, 1),
        ("attr.rd: shared memory", Registers { rax: 23, rcx: SHARED, ..JUNK }, 1),
        ("attr.rd: beyond the address width", Registers { rax: 23, rcx: 1 << 60, ..JUNK }, 1),
    ];
    for (name, input, operand) in rows {
        refused(tally, name, input, OPERAND_INVALID | operand);
    }
    let small = Registers { rcx: (ATTRIBUTES & !0x1f_ffff) | 1, ..page };
    refused(tally, "attr.wr: 2 MiB made of pages", small, 0xc000_0b0b_0000_0001);
}

fn changes(tally: &mut Tally) {
    let page = ATTRIBUTES;
    reads(tally, "attr.rd: no alias yet", page + 0x234, page, 0);
    let rows = [
        ("attr.wr: R", 0x8001, MASK, 0x8001),
        ("attr.wr: R and W", 0x8003, MASK, 0x8003),
        ("attr.wr: all rights, with INVEPT", ALL, MASK | 0x8000, ALL),
        ("attr.wr: the mask keeps W", 0x8001, 0x0d, 0x8003),
        ("attr.wr: Xs comes back by itself", 0x8004, 0x04, 0x8007),
        ("attr.wr: an empty mask changes nothing", 0x8000, 0, 0x8007),
        ("attr.wr: execute-only", 0x8004, MASK, 0x8004),
    ];
    for (name, word, flags, result) in rows {
        tally.call(name, call(page, word, flags), |r| {
            (r.rax, r.rdx) = (0, result << 16);
        });
        reads(tally, "attr.rd: and it reads back", page, page, result << 16);
    }
    tally.call("attr.wr: no words, no change", call(page, 0, 0), |r| (r.rax, r.rdx) = (0, 0));
    reads(tally, "attr.rd: still execute-only", page, page, 0x8004 << 16);
    tally.call("attr.wr: no rights take the alias away", call(page, 0x8000, MASK), |r| {
        (r.rax, r.rdx) = (0, 0x8000 << 16);
    });
    reads(tally, "attr.rd: no alias again", page, page, 0);
}

/// Two L2 VMs have rights of their own to the same page.
fn another(tally: &mut Tally) {
    let page = ATTRIBUTES;
    let of_vm2 =
        |word: u64, flags: u64| Registers { rdx: word << 32, r8: flags << 32, ..call(page, 0, 0) };
    tally.call("attr.wr: VM 1 gets all", call(page, ALL, MASK), |r| {
        (r.rax, r.rdx) = (0, ALL << 16);
    });
    tally.call("attr.wr: VM 2 gets R", of_vm2(0x8001, MASK), |r| {
        (r.rax, r.rdx) = (0, 0x8001 << 32);
    });
    reads(tally, "attr.rd: both", page, page, ALL << 16 | 0x8001 << 32);
    tally.call("attr.wr: VM 1 loses all", call(page, 0x8000, MASK), |r| {
        (r.rax, r.rdx) = (0, 0x8000 << 16);
    });
    reads(tally, "attr.rd: VM 2 still reads", page, page, 0x8001 << 32);
    tally.call("attr.wr: VM 2 loses all", of_vm2(0x8000, MASK), |r| {
        (r.rax, r.rdx) = (0, 0x8000 << 32);
    });
    reads(tally, "attr.rd: nobody has it", page, page, 0);
}

fn illegal(tally: &mut Tally) {
    let page = ATTRIBUTES;
    let rows = [
        ("attr.wr: W without R", 0x8002, 0x7f),
        ("attr.wr: W and Xs without R", 0x8006, 0x7f),
        ("attr.wr: reserved bit 8", 0x8101, 0x17f),
        ("attr.wr: reserved bit 14", 0xc001, 0x407f),
        ("attr.wr: suppress-#VE", 0x8081, 0xff),
        ("attr.wr: paging-write without R", 0x8024, 0x7f),
    ];
    for (name, word, flags) in rows {
        // There is no alias, so there are no attributes to tell.
        let mut r = call(page, word, flags);
        crate::door::tdcall(&mut r);
        tally.check(name, (r.rax, r.rcx), (PAGE_ATTR_INVALID, 0));
    }
    tally.call("attr.wr: R and W again", call(page, 0x8003, MASK), |r| {
        (r.rax, r.rdx) = (0, 0x8003 << 16);
    });
    tally.call("attr.wr: W cannot outlive R", call(page, 0x8000, 1), |r| {
        (r.rax, r.rcx, r.rdx) = (PAGE_ATTR_INVALID, 0, 0x8003 << 16);
    });
    reads(tally, "attr.rd: nothing has changed", page, page, 0x8003 << 16);
}

fn large(tally: &mut Tally) {
    let rdx = ALL << 16;
    tally.call("attr.wr: 2 MiB", call(LARGE | 1, ALL, MASK), |r| (r.rax, r.rdx) = (0, rdx));
    reads(tally, "attr.rd: 2 MiB", LARGE + 0x12_3456, LARGE | 1, rdx);
    tally.call("attr.wr: 2 MiB taken away", call(LARGE | 1, 0x8000, MASK), |r| {
        (r.rax, r.rdx) = (0, 0x8000 << 16);
    });
}

/// A page that the host gives when it is asked for, and that L1 never accepts before.
fn pending(tally: &mut Tally) {
    let rdx = 0x8003 << 16;
    tally.call("attr.wr: a pending page", call(PENDING, 0x8003, MASK), |r| {
        (r.rax, r.rcx, r.rdx) = (0, PENDING | IS_PENDING, rdx);
    });
    reads(tally, "attr.rd: a pending page", PENDING + 8, PENDING | IS_PENDING, rdx);
}
