// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is asked of the host, and the pages that both sides see.
//!
//! Spec: GHCI "TDG.VP.VMCALL Interface"; TLFS "HvCallPostMessage".
#![expect(unsafe_code, reason = "shared pages are no Rust objects")]

use core::ptr::with_exposed_provenance;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use tdcall::Registers;
use x86_64::instructions::interrupts;

use super::super::msr;
use crate::{
    boot::SHARED_WINDOW,
    door,
    memory::{SHARED, SMALL},
    tally::JUNK,
    trap,
};

const fn page(number: u64) -> u64 {
    SMALL + (64 + number) * 0x1000
}

/// Input of hypercalls.
pub(super) const HYPERCALL: u64 = page(0);
/// Output of hypercalls.
pub(super) const OUTPUT: u64 = page(1);
/// The message page.
pub(super) const MESSAGES: u64 = page(2);
/// The event-flags page.
pub(super) const EVENTS: u64 = page(3);
/// The monitor page that the host sets.
pub(super) const PARENT_TO_CHILD: u64 = page(4);
/// The monitor page that the client sets.
pub(super) const CHILD_TO_PARENT: u64 = page(5);
/// Two rings of a control page and a page of data, for each of two channels.
pub(super) const RINGS: [u64; 2] = [page(6), page(10)];
const PAGES: u64 = 14;

const END_OF_INTERRUPT: u32 = 0x80b;
const EOM: u64 = 0x4000_0084;

/// Long enough for anything that the host does by itself, in ticks.
const PATIENCE: u64 = 2_000_000_000;

/// The address of a page as the host is told it.
pub(super) fn of(page: u64) -> u64 {
    SHARED | page
}

/// `MapGPA` for all of the pages; returns the status.
pub(super) fn share() -> u64 {
    share_range(of(page(0)), PAGES * 0x1000)
}

/// `MapGPA`; returns the status.
pub(in crate::checks) fn share_range(r12: u64, r13: u64) -> u64 {
    call(Registers { rcx: 0x3c00, r10: 0, r11: 0x1_0001, r12, r13, ..JUNK }).r10
}

/// `Instruction.CPUID`: EAX, EBX, ECX, EDX.
pub(super) fn cpuid(leaf: u64) -> [u64; 4] {
    let r = call(Registers { rcx: 0xfc00, r10: 0, r11: 10, r12: leaf, r13: 0, ..JUNK });
    [r.r12, r.r13, r.r14, r.r15]
}

/// `Instruction.RDMSR`: status and value.
pub(super) fn rdmsr(msr: u64) -> (u64, u64) {
    let r = call(Registers { rcx: 0x1c00, r10: 0, r11: 31, r12: msr, ..JUNK });
    (r.r10, r.r11)
}

/// `Instruction.WRMSR`: status.
pub(super) fn wrmsr(msr: u64, value: u64) -> u64 {
    call(Registers { rcx: 0x3c00, r10: 0, r11: 32, r12: msr, r13: value, ..JUNK }).r10
}

/// `Instruction.IO`: four bytes; the value that is read, or 0.
pub(super) fn port(number: u64, written: Option<u32>) -> u64 {
    io(4, number, written)
}

/// `Instruction.IO`: the value that is read, or 0.
pub(in crate::checks) fn io(size: u64, number: u64, written: Option<u32>) -> u64 {
    let (r13, r15) = (u64::from(written.is_some()), u64::from(written.unwrap_or(0)));
    call(Registers { rcx: 0xfc00, r10: 0, r11: 30, r12: size, r13, r14: number, r15, ..JUNK }).r11
}

/// A hypercall: the result value.
pub(super) fn hypercall(control: u64, input: u64, output: u64) -> u64 {
    call(Registers { rcx: 0x0d04, rdx: input, r8: output, r10: control, r11: 0, ..JUNK }).r11
}

/// `HvCallPostMessage` of a VMBus message.
pub(super) fn post(connection: u32, message: &[u32]) -> u64 {
    write(HYPERCALL, u64::from(connection));
    write(HYPERCALL + 8, 1 | (message.len() as u64 * 4) << 32);
    for (value, at) in message.iter().zip((HYPERCALL + 16..).step_by(4)) {
        set_word(at, *value);
    }
    hypercall(0x5c, of(HYPERCALL), 0)
}

/// A message of the host: its type, and words of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u32,
    pub(super) length: u8,
    pub(super) words: [u32; 60],
    /// Whether another one waits.
    pub(super) pending: bool,
}

/// Takes the message of a source, if there is one, and does not tell the host.
pub(super) fn take(sint: u64) -> Option<Message> {
    let slot = MESSAGES + sint * 256;
    let kind = Some(word(slot)).filter(|kind| *kind != 0)?;
    let [length, ..] = word(slot + 4).to_le_bytes();
    let words = core::array::from_fn(|index| word(slot + 16 + index as u64 * 4));
    set_word(slot, 0);
    let pending = word(slot + 4) & 0x100 != 0;
    Some(Message { kind, length, words, pending })
}

/// Tells the host that a slot is free.
pub(super) fn end_of_message() -> u64 {
    wrmsr(EOM, 0)
}

/// Takes the interrupts that are there: how many, and the vector of the last.
pub(super) fn interrupts() -> (u64, u64) {
    let before = trap::interrupts().count;
    loop {
        let seen = trap::interrupts().count;
        interrupts::enable();
        interrupts::disable();
        if trap::interrupts().count == seen {
            break;
        }
        let _ = msr::wrmsr(END_OF_INTERRUPT, 0);
    }
    (trap::interrupts().count - before, trap::interrupts().last)
}

/// Waits until something holds, or for too long; whether it holds.
pub(super) fn comes(holds: impl Fn() -> bool) -> bool {
    let since = cpu::tsc();
    while !holds() {
        if cpu::tsc().wrapping_sub(since) > PATIENCE {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

/// Reads 4 bytes of shared memory.
pub(in crate::checks) fn word(gpa: u64) -> u32 {
    atomic(gpa).load(SeqCst)
}

/// Writes 4 bytes of shared memory.
pub(in crate::checks) fn set_word(gpa: u64, value: u32) {
    atomic(gpa).store(value, SeqCst);
}

/// Sets bits of shared memory.
pub(super) fn set_bits(gpa: u64, bits: u32) {
    atomic(gpa).fetch_or(bits, SeqCst);
}

/// Reads 8 bytes of shared memory.
pub(super) fn read(gpa: u64) -> u64 {
    wide(gpa).load(SeqCst)
}

/// Writes 8 bytes of shared memory.
pub(super) fn write(gpa: u64, value: u64) {
    wide(gpa).store(value, SeqCst);
}

fn atomic(gpa: u64) -> &'static AtomicU32 {
    // SAFETY: The window maps all shared memory, and the pages of this module, or a device's registers, are shared
    // when they are accessed; whatever the host does to them, they are accessed as atomics only.
    unsafe { &*with_exposed_provenance(address(gpa)) }
}

fn wide(gpa: u64) -> &'static AtomicU64 {
    // SAFETY: As above.
    unsafe { &*with_exposed_provenance(address(gpa)) }
}

#[expect(clippy::cast_possible_truncation, reason = "the probe is a 64-bit program")]
const fn address(gpa: u64) -> usize {
    (SHARED_WINDOW + gpa) as usize
}

fn call(mut r: Registers) -> Registers {
    r.rax = 0;
    door::tdcall(&mut r);
    // No exception is expected of the call.
    let _ = trap::taken();
    r
}
