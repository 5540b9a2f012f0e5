// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonsense in Hyper-V's registers and hypercalls, for a guest that is shown them.
//!
//! Spec: TLFS "Establishing the Hypercall Interface", "Hypercall Inputs".

use super::access::Numbers;
use crate::console::line;
use crate::failure::Failure;
use crate::ring::{self, End, Mode, Registers, scratch, set_scratch};

const GUEST_OS_ID: u64 = 0x4000_0000;
const HYPERCALL: u64 = 0x4000_0001;
const LAST: u64 = 0x4000_0120;
/// A page of low memory that nothing of this guest lies in.
const CODE_PAGE: u64 = 0xa000;
const ENABLE: u64 = 1;
/// L1's own memory in a TD of 128 MiB.
const NOT_MINE: u64 = 0x0700_0000;
const MODIFY_VISIBILITY: u64 = 0xdb;
const RANDOM: u32 = 1_000;
/// Page numbers that no page of this guest has: L1's memory, behind it, the IO-APIC, shared, far.
const PAGES: [u64; 7] = [0x7000, 0x7fff, 0x8000, 0xf_ec00, 1 << 35, 1 << 51, u64::MAX];
/// This partition.
const OWN: u64 = u64::MAX;

/// Registers first, then calls.
pub(super) fn run() -> Result<(), Failure> {
    let numbers = Numbers::new();
    let mut written = 0;
    for msr in GUEST_OS_ID..LAST {
        for value in [u64::MAX, NOT_MINE | ENABLE, 1 << 47 | ENABLE, numbers.next() | 1 << 45, 0] {
            written += u32::from(write(msr, value).is_some());
        }
    }
    write(GUEST_OS_ID, 0x8100_0000_0000_0000);
    for nowhere in [NOT_MINE, 0xfec0_0000, 0xffff_f000, 1 << 47, !0xfff] {
        write(HYPERCALL, nowhere | ENABLE);
    }
    let page = write(HYPERCALL, CODE_PAGE | ENABLE);
    if page.is_none_or(|end| end.vector.is_some()) {
        return Err(Failure::Instruction("the hypercall page cannot be switched on"));
    }
    let mut calls = 0;
    for code in 0..0x200 {
        calls += u32::from(call(code, numbers.next(), numbers.next()).is_some());
    }
    for _ in 0..RANDOM {
        let control = numbers.next() & !0xffff | MODIFY_VISIBILITY;
        let input = numbers.of(&[NOT_MINE, scratch(), scratch() + 4, 1 << 47, u64::MAX, 0xfff8]);
        calls += u32::from(call(control, input.unwrap_or(0), numbers.next()).is_some());
    }
    visibility()?;
    line!("result nonsense=hypercall written={written} calls={calls}");
    write(HYPERCALL, 0);
    write(GUEST_OS_ID, 0);
    Ok(())
}

/// Pages that are not this guest's, and states that do not exist: each call must be refused.
fn visibility() -> Result<(), Failure> {
    const ONE_PAGE: u64 = 1 << 32;
    for page in PAGES {
        for state in [0, 3] {
            refused(OWN, state, page, ONE_PAGE)?;
        }
    }
    for state in [1, 2, 4, 0xff, 0xffff_ffff] {
        refused(OWN, state, 0xa, ONE_PAGE)?;
    }
    refused(7, 3, 0xa, ONE_PAGE)?;
    for count in [0, 0xfff, 0x1ff] {
        refused(OWN, 3, PAGES[0], count << 32)?;
    }
    refused(OWN, 3, 0xa, ONE_PAGE | 5 << 48)
}

fn refused(partition: u64, state: u64, page: u64, reps: u64) -> Result<(), Failure> {
    set_scratch(0, partition);
    set_scratch(1, state);
    set_scratch(2, page);
    let end = call(MODIFY_VISIBILITY | reps, scratch(), 0);
    let status = end.filter(|end| end.vector.is_none()).map(|end| end.rax & 0xffff);
    match status {
        Some(0) => Err(Failure::Instruction("a hypercall that must be refused")),
        _ => Ok(()),
    }
}

fn call(control: u64, input: u64, output: u64) -> Option<End> {
    let registers = Registers { rcx: control, rdx: input, others: output, ..Registers::default() };
    ring::run(Mode::Kernel64, &[0x0f, 0x01, 0xc1], registers, 0)
}

fn write(msr: u64, value: u64) -> Option<End> {
    let registers =
        Registers { rcx: msr, rax: value & 0xffff_ffff, rdx: value >> 32, ..Registers::default() };
    ring::run(Mode::Kernel64, &[0x0f, 0x30], registers, 0)
}
