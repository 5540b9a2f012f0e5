// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small L2 VM: a few bytes of code in a page of its own, and what L1 sees when they exit.
//!
//! Spec: TDX-ABI "TDG.VP.ENTER Leaf", "L2_ENTER_GUEST_STATE".

use tdcall::Registers;

use crate::{
    checks::fields::write,
    door,
    memory::{self, APIC, CODE, DATA, STATE, TABLES},
    tally::JUNK,
};

/// VM 1, no TLB action.
pub(crate) const VM1: u64 = 1 << 52;
/// Where L2's stack begins.
pub(crate) const STACK: u64 = DATA + 0x1000;
/// Interrupt descriptor table, of 32-bit gates.
const IDT: u64 = DATA + 0x100;
/// The selector of the flat code segment.
const FLAT_CODE: u64 = 8;
/// Where L2's handler is, within the code page.
pub(crate) const HANDLER: u64 = CODE + 0x800;

/// The words of the state page.
const RSP: u64 = 32;
const RBP: u64 = 40;
pub(crate) const RFLAGS: u64 = 128;
pub(crate) const RIP: u64 = 136;
/// RVI, and SVI above it.
pub(crate) const STATUS: u64 = 152;

/// What L2 has in RBP.
pub(crate) const L2_RBP: u64 = 0x2222_0005;

/// What L1 sees of an exit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    /// All registers.
    pub(crate) registers: Registers,
    /// RBP.
    pub(crate) rbp: u64,
}

/// Reads a word of the state page.
pub(crate) fn state(offset: u64) -> u64 {
    memory::read(STATE + offset)
}

/// Writes a word of the state page.
pub(crate) fn set_state(offset: u64, value: u64) {
    memory::write(STATE + offset, value);
}

/// Makes a fresh state that runs `code`, with interrupts off.
pub(crate) fn load(code: &[u8]) {
    const HLT: [u8; 16] = [0xf4; 16];
    memory::write_bytes(CODE, code);
    memory::write_bytes(CODE + code.len() as u64, &HLT);
    (0..16).for_each(|number| set_state(number * 8, 0x2222_0000 + number));
    (16..32).for_each(|word| set_state(word * 8, 0));
    set_state(RSP, STACK);
    set_state(RBP, L2_RBP);
    set_state(RFLAGS, 2);
    set_state(RIP, CODE);
}

/// Enters L2.
pub(crate) fn enter() -> Exit {
    enter_with(0)
}

/// Enters L2 and drops translations of it.
pub(crate) fn enter_with(flags: u64) -> Exit {
    let mut registers = Registers { rax: 25, rcx: VM1 | flags, rdx: STATE, ..JUNK };
    let rbp = door::tdcall(&mut registers);
    Exit { registers, rbp }
}

/// Loads and enters.
pub(crate) fn run(code: &[u8]) -> Exit {
    load(code);
    enter()
}

/// As [`run`], but the code segment leads to the code and RIP is an offset in it.
pub(crate) fn run_at(code: &[u8], rip: u64) -> Exit {
    load(code);
    set_state(RIP, rip);
    enter()
}

/// Gives L2 its pages; `false` if the module refuses one.
pub(crate) fn give_pages() -> bool {
    let alias = |gpa: u64, rights: u64| {
        let (rdx, r8) = (rights << 16, 0xf << 16);
        let mut r = Registers { rax: 24, rcx: gpa, rdx, r8, ..JUNK };
        door::tdcall(&mut r);
        r.rax == 0
    };
    [CODE, TABLES, TABLES + 0x1000, DATA].into_iter().all(|gpa| alias(gpa, 0x800f))
        && alias(memory::READ_ONLY, 0x8001)
}

/// Sets fields of the VMCS of VM 1: code, value.
fn set(fields: &[(u64, u64, u64)]) -> bool {
    fields.iter().all(|(code, value, mask)| write(36 << 56 | code, *value, *mask).is_ok())
}

/// 32-bit protected mode without paging, one interrupt gate for every vector, a virtual APIC.
pub(crate) fn protected_mode() -> bool {
    let gate = HANDLER & 0xffff | FLAT_CODE << 16 | 0x8e00 << 32 | (HANDLER >> 16) << 48;
    (0..256).for_each(|vector| memory::write(IDT + vector * 8, gate));
    memory::write(DATA, 0);
    memory::write(DATA + 8, 0x00cf_9b00_0000_ffff);
    set(&[
        (0x6800, 0x21, u64::MAX),
        (0x6804, 0x2040, u64::MAX),
        (0x2806, 0x901, u64::MAX),
        (0x4012, 0, 0x200),
        (0x4816, 0xc09b, u64::MAX),
        (0x0802, 0, u64::MAX),
        (0x6816, DATA, u64::MAX),
        (0x4810, 0xff, u64::MAX),
        (0x6818, IDT, u64::MAX),
        (0x4812, 0x7ff, u64::MAX),
    ])
}

/// 16-bit real-address mode, segments at 0.
pub(crate) fn real_mode() -> bool {
    set(&[
        (0x6800, 0x20, u64::MAX),
        (0x4816, 0x9b, u64::MAX),
        (0x4802, 0xffff, u64::MAX),
        (0x6808, CODE, u64::MAX),
    ])
}

/// 64-bit mode, identity-mapped by pages of 1 GiB; 512 GiB on, shared memory.
pub(crate) fn long_mode() -> bool {
    let directory = TABLES + 0x1000;
    memory::write(TABLES, directory | 0x23);
    memory::write(TABLES + 8, directory | 0x23);
    memory::write(directory, 0xe3);
    memory::write(directory + 3 * 8, memory::SHARED | 0xc000_00e3);
    set(&[
        (0x6802, TABLES, u64::MAX),
        (0x6804, 0x2060, u64::MAX),
        (0x2806, 0xd01, u64::MAX),
        (0x6800, 0x8000_0021, u64::MAX),
        (0x4012, 0x200, 0x200),
        (0x4816, 0xa09b, u64::MAX),
        (0x4802, 0xffff_ffff, u64::MAX),
        (0x6808, 0, u64::MAX),
    ])
}

/// Where the virtual APIC has a register.
pub(crate) fn apic(offset: u64) -> u64 {
    memory::read(APIC + offset) & 0xffff_ffff
}
