// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reserved vectors: a stub each, nothing but the relay.
//!
//! A stub is `RelayBlock::on_posted` for one slot: load the slot's word, OR its mask into the dword of
//! the block's first page that it names (the VIRR of L2 itself, or a bank), mark the block dirty, end
//! the interrupt. No call, no branch, no lock. The page is the owner's alone and interrupts are off, so a
//! plain OR is enough. The index has ten bits, so it cannot leave the page.
//!
//! EOI is a WRMSR the module does not intercept, so nothing here leaves L1.
//!
//! Spec: SDM "EOI Register", "x2APIC Register Address Space".
#![expect(unsafe_code, reason = "interrupt entry is assembly")]

use core::arch::global_asm;

use cpu::apic::Register;
use proxy_irq::{RelayBlock, SLOTS};

use super::vectors::RELAY_BASE;

/// Bytes from one stub to the next.
const STUB: usize = 64;

unsafe extern "C" {
    #[link_name = "interrupt_relay_stubs"]
    safe static STUBS: [[u8; STUB]; SLOTS];
}

/// The code behind `vector`, if it is reserved for the relay.
pub(super) fn stub(vector: u8) -> Option<u64> {
    let slot = vector.checked_sub(RELAY_BASE)?;
    let code = STUBS.get(usize::from(slot))?;
    Some(core::ptr::from_ref(code).addr() as u64)
}

global_asm!(
    ".pushsection .text.interrupt_relay_stubs, \"ax\", @progbits",
    ".balign 64",
    ".globl interrupt_relay_stubs",
    ".type interrupt_relay_stubs, @function",
    "interrupt_relay_stubs:",
    ".set interrupt_relay_slot, 0",
    ".rept {slots}",
    ".balign 64",
    "push rax",
    "push rcx",
    "push rdx",
    "mov rax, gs:[{slot_words} + 8 * interrupt_relay_slot]",
    "mov rcx, rax",
    "shr rcx, 54",
    "or dword ptr gs:[4 * rcx], eax",
    "mov dword ptr gs:[{dirty}], 1",
    "xor eax, eax",
    "xor edx, edx",
    "mov ecx, {eoi}",
    "wrmsr",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "iretq",
    ".set interrupt_relay_slot, interrupt_relay_slot + 1",
    ".endr",
    ".balign 64",
    ".size interrupt_relay_stubs, . - interrupt_relay_stubs",
    ".popsection",
    slots = const SLOTS,
    slot_words = const RelayBlock::SLOTS_OFFSET,
    dirty = const RelayBlock::DIRTY_OFFSET,
    eoi = const Register::EOI.msr(),
);
