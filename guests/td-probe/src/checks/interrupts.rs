// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts: L1's virtual x2APIC, and what an L2 VM is given by injection, RVI and deadline.
//!
//! Spec: SDM "APIC Virtualization and Virtual Interrupts"; TDX-TDP "Interrupts".

use tdcall::Registers;
use x86_64::instructions::interrupts;

use super::{
    enter::{Wanted, is},
    fields::{vp, write},
    msr::{rdmsr, wrmsr},
};
use crate::{
    l2::{self, RFLAGS, STATUS, VM1, state},
    memory::{self, APIC, STATE},
    tally::{JUNK, Tally},
    trap,
};

const VECTOR: u64 = 0x51;
const TPR: u32 = 0x808;
const PPR: u32 = 0x80a;
const EOI: u32 = 0x80b;
/// The words of ISR and IRR that have vector 0x51, and its bit there.
const ISR2: u32 = 0x812;
const IRR2: u32 = 0x822;
const BIT: u64 = 1 << 17;
const SELF_IPI: u32 = 0x83f;
const IF: u64 = 0x202;
/// L2's handler: selector 8.
const IN_HANDLER: u64 = 0xffff_ffff_c09b_0008;

pub(super) fn run(tally: &mut Tally) {
    refused_entry(tally);
    priority(tally);
    deadline(tally);
    window(tally);
    injection(tally);
    delivery(tally);
}

fn value(msr: u32) -> u64 {
    rdmsr(msr).1
}

fn refused_entry(tally: &mut Tally) {
    tally.check("apic: self-IPI", wrmsr(SELF_IPI, VECTOR), None);
    tally.check("apic: IRR", (value(IRR2), value(ISR2), value(PPR)), (BIT, 0, 0));
    l2::load(&[0xf4]);
    let input = Registers { rax: 25, rcx: VM1, rdx: STATE, ..JUNK };
    tally.status("enter: an interrupt of L1 is pending", input, 0x1120_0000_0000);
    tally.check(
        "enter: the state is untouched",
        (state(0), state(l2::RIP)),
        (0x2222_0000, memory::CODE),
    );
    let before = trap::interrupts().count;
    interrupts::enable();
    interrupts::disable();
    let after = trap::interrupts();
    tally.check("apic: taken once", (after.count - before, after.last), (1, VECTOR));
    tally.check("apic: in service", (value(IRR2), value(ISR2), value(PPR)), (0, BIT, 0x50));
    tally.check("apic: EOI", wrmsr(EOI, 0), None);
    tally.check("apic: all quiet", (value(IRR2), value(ISR2), value(PPR)), (0, 0, 0));
    is(tally, "enter: goes on then", l2::run(&[0xf4]), Wanted::of(12, 0, 1, 0));
}

fn priority(tally: &mut Tally) {
    tally.check("apic: TPR", (wrmsr(TPR, 0x60), value(TPR), value(PPR)), (None, 0x60, 0x60));
    tally.check("apic: self-IPI below TPR", wrmsr(SELF_IPI, VECTOR), None);
    let before = trap::interrupts().count;
    interrupts::enable();
    tally.check("apic: masked by TPR", trap::interrupts().count - before, 0);
    interrupts::disable();
    is(tally, "enter: a masked interrupt is no reason", l2::run(&[0xf4]), Wanted::of(12, 0, 1, 0));
    tally.check("apic: TPR back", wrmsr(TPR, 0), None);
    interrupts::enable();
    interrupts::disable();
    tally.check("apic: taken now", trap::interrupts().count - before, 1);
    tally.check("apic: EOI again", wrmsr(EOI, 0), None);
    let ve = wrmsr(SELF_IPI, 15).map(|trap| (trap.vector, trap.offset));
    let mut r = Registers { rax: 3, ..JUNK };
    crate::door::tdcall(&mut r);
    tally.check(
        "apic: self-IPI 15 is #VE behind WRMSR",
        (ve, r.rcx, r.rdx),
        (Some((20, 2)), 56, 0x3f0),
    );
}

fn deadline(tally: &mut Tally) {
    const DEADLINE: u64 = 0xa020_0003_0000_0059;
    tally.check("deadline: set in the past", write(DEADLINE, 1, u64::MAX), Ok(u64::MAX));
    is(tally, "deadline: L2 does not get to run", l2::run(&[0x90]), Wanted::of(52, 0, 0, 0));
    tally.check("deadline: stays", vp(DEADLINE), Ok(1));
    is(tally, "deadline: and so again", l2::enter(), Wanted::of(52, 0, 0, 0));
    tally.check("deadline: off", write(DEADLINE, u64::MAX, u64::MAX), Ok(1));
    is(tally, "deadline: L2 runs", l2::enter(), Wanted::of(12, 0, 1, 1));
}

fn window(tally: &mut Tally) {
    const PRIMARY: u64 = 0x2424_0002_0000_4002;
    tally.check("window: exiting on", write(PRIMARY, 4, 4).is_ok(), true);
    l2::load(&[0x90]);
    l2::set_state(RFLAGS, IF);
    is(tally, "window: open at once", l2::enter(), Wanted::of(7, 0, 0, 0));
    is(tally, "window: closed", l2::run(&[0x90]), Wanted::of(12, 0, 1, 1));
    is(tally, "window: opens behind STI", l2::run(&[0xfb, 0x90, 0x90]), Wanted::of(7, 0, 0, 2));
    tally.check("window: exiting off", write(PRIMARY, 0, 4).is_ok(), true);
}

fn in_handler() -> Wanted {
    Wanted::of(12, 0, 1, 0x800).with_cs(IN_HANDLER)
}

fn injection(tally: &mut Tally) {
    const EVENT: u64 = 0x2424_0002_0000_4016;
    const ERROR: u64 = 0x2424_0002_0000_4018;
    memory::write_bytes(l2::HANDLER, &[0xf4]);
    for (name, event, pushed) in [
        ("inject: an interrupt", 0x8000_0051, 12),
        ("inject: #UD", 0x8000_0306, 12),
        ("inject: #GP with error code", 0x8000_0b0d, 16),
    ] {
        tally.check("inject: fields", write(EVENT, event, u64::MAX).is_ok(), true);
        tally.check("inject: error code", write(ERROR, 0x18, u64::MAX).is_ok(), true);
        l2::load(&[0x90]);
        l2::set_state(RFLAGS, IF);
        is(tally, name, l2::enter(), in_handler());
        tally.check("inject: stack", state(32), l2::STACK - pushed);
        let valid = vp(EVENT).map(|event| event >> 31);
        tally.check("inject: once", valid, Ok(0));
        tally.check("inject: back", l2::protected_mode(), true);
    }
}

fn delivery(tally: &mut Tally) {
    const EOI_EXIT1: u64 = 0x2424_0003_0000_201e;
    /// Writes of the MSRs from 0x800 on.
    const BITMAP: u64 = 0x2520_0003_0000_0120;
    memory::write_bytes(l2::HANDLER, &[0xf4]);
    memory::write(APIC + 0x220, BIT);
    l2::load(&[0x90]);
    l2::set_state(STATUS, VECTOR);
    is(tally, "rvi: not with IF=0", l2::enter(), Wanted::of(12, 0, 1, 1));
    tally.check("rvi: still requested", state(STATUS) & 0xffff, VECTOR);
    l2::load(&[0x90]);
    l2::set_state(RFLAGS, IF);
    l2::set_state(STATUS, VECTOR);
    is(tally, "rvi: delivered with IF=1", l2::enter(), in_handler());
    let page = (l2::apic(0x220), l2::apic(0x120), l2::apic(0xa0));
    tally.check("rvi: VIRR, VISR and VPPR", page, (0, BIT, 0x50));
    tally.check("rvi: in service", state(STATUS) & 0xffff, VECTOR << 8);
    // EOI: mov ecx, 0x80b; xor eax, eax; xor edx, edx; wrmsr
    let eoi = [0xb9, 0x0b, 8, 0, 0, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x30];
    tally.check("eoi: exit for the vector", write(EOI_EXIT1, BIT, u64::MAX), Ok(0));
    tally.check("eoi: L2 may write it", write(BITMAP, 0, 1 << 0xb), Ok(u64::MAX));
    tally.check("eoi: out of the handler", l2::protected_mode(), true);
    l2::load(&eoi);
    l2::set_state(STATUS, VECTOR << 8);
    is(tally, "eoi: exits behind WRMSR", l2::enter(), Wanted::of(45, VECTOR, 0, 11));
    tally.check("eoi: VISR and SVI", (l2::apic(0x120), state(STATUS) & 0xffff), (0, 0));
    tally.check("eoi: no exit", write(EOI_EXIT1, 0, u64::MAX), Ok(BIT));
    memory::write(APIC + 0x120, BIT);
    l2::load(&eoi);
    l2::set_state(STATUS, VECTOR << 8);
    is(tally, "eoi: no exit then", l2::enter(), Wanted::of(12, 0, 1, 11));
    tally.check("eoi: VISR and SVI, too", (l2::apic(0x120), state(STATUS) & 0xffff), (0, 0));
    tally.check("eoi: bitmap back", write(BITMAP, u64::MAX, u64::MAX).is_ok(), true);
}
