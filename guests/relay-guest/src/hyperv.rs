// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a guest of Hyper-V talks to it: registers, VMCALL and TDCALL, any of which may be refused.
//!
//! Spec: TLFS "Hypercall Interface"; GHCI "`TDG.VP.VMCALL<MapGPA>`".

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::ring::{self, Mode, Registers};

/// Bytes of a page.
pub(crate) const PAGE: u64 = 4096;

/// What an instruction ended with: a value, or the vector of an exception.
pub(crate) type Answer = Result<u64, u8>;

/// `HvCallModifySparseGpaPageHostVisibility`.
pub(crate) const MODIFY_VISIBILITY: u64 = 0xdb;
/// This partition.
pub(crate) const SELF: u64 = u64::MAX;
/// Visibility: no one but the TD, or the host as well.
pub(crate) const PRIVATE: u64 = 0;
pub(crate) const SHARED: u64 = 3;

const RDMSR: &[u8] = &[0x0f, 0x32];
const WRMSR: &[u8] = &[0x0f, 0x30];
const VMCALL: &[u8] = &[0x0f, 0x01, 0xc1];
/// The page that was given for calls.
const CALL_RBX: &[u8] = &[0xff, 0xd3];
const LOAD_RBX: &[u8] = &[0x8b, 0x03];
/// Function ESI with RBX and RDI as operands; R11 ends in RDX, R10 in RAX unless the module refuses.
const TDVMCALL: &[u8] = &[
    0x4d, 0x31, 0xd2, // xor r10, r10
    0x41, 0x89, 0xf3, // mov r11d, esi
    0x49, 0x89, 0xdc, // mov r12, rbx
    0x49, 0x89, 0xfd, // mov r13, rdi
    0x66, 0x0f, 0x01, 0xcc, // tdcall
    0x4c, 0x89, 0xda, // mov rdx, r11
    0x48, 0x85, 0xc0, // test rax, rax
    0x75, 0x03, // jnz over the next
    0x4c, 0x89, 0xd0, // mov rax, r10
];

#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

/// The input of calls.
static INPUT: Page = Page([const { AtomicU64::new(0) }; 512]);

/// EAX, EBX, ECX, EDX of a leaf.
pub(crate) fn cpuid(leaf: u32) -> [u32; 4] {
    let found = __cpuid(leaf);
    [found.eax, found.ebx, found.ecx, found.edx]
}

/// Reads a model-specific register.
pub(crate) fn read_msr(msr: u32) -> Answer {
    let registers = Registers { rcx: msr.into(), ..Registers::default() };
    let (rax, rdx) = run(RDMSR, registers)?;
    Ok(rdx << 32 | rax & 0xffff_ffff)
}

/// Writes a model-specific register.
pub(crate) fn write_msr(msr: u32, value: u64) -> Answer {
    let (rax, rdx) = (value & 0xffff_ffff, value >> 32);
    run(WRMSR, Registers { rcx: msr.into(), rax, rdx, ..Registers::default() }).map(|_| 0)
}

/// Calls by the instruction.
pub(crate) fn vmcall(control: u64, input: u64) -> Answer {
    let registers = Registers { rcx: control, rdx: input, ..Registers::default() };
    run(VMCALL, registers).map(|(rax, _)| rax)
}

/// The exception of the instruction in `mode`.
pub(crate) fn vmcall_in(mode: Mode) -> Option<u8> {
    ring::run(mode, VMCALL, Registers::default(), 0)?.vector
}

/// Calls through the page at `page`.
pub(crate) fn call_page(page: u64, control: u64, input: u64) -> Answer {
    let registers = Registers { rcx: control, rdx: input, rbx: page, ..Registers::default() };
    run(CALL_RBX, registers).map(|(rax, _)| rax)
}

/// Loads the word at `address`.
pub(crate) fn load(address: u64) -> Answer {
    let registers = Registers { rbx: address, ..Registers::default() };
    run(LOAD_RBX, registers).map(|(rax, _)| rax)
}

/// Asks the host, or who answers in its place: status, and result.
pub(crate) fn tdvmcall(function: u64, r12: u64, r13: u64) -> Result<(u64, u64), u8> {
    /// R10 to R13 are what the host may see.
    const EXPOSED: u64 = 0x3c00;
    let registers =
        Registers { rcx: EXPOSED, rsi: function, rbx: r12, rdi: r13, ..Registers::default() };
    run(TDVMCALL, registers)
}

/// Fills the input of a call that changes the visibility of `pages`, and returns its address.
pub(crate) fn visibility(partition: u64, visibility: u64, pages: &[u64]) -> u64 {
    for (word, value) in INPUT.0.iter().zip([partition, visibility].iter().chain(pages)) {
        word.store(*value, Relaxed);
    }
    (&raw const INPUT).expose_provenance() as u64
}

/// The control word of a call with `count` repetitions, of which `start` are done.
pub(crate) const fn control(start: u64, count: u64) -> u64 {
    MODIFY_VISIBILITY | count << 32 | start << 48
}

fn run(code: &[u8], registers: Registers) -> Result<(u64, u64), u8> {
    match ring::run(Mode::Kernel64, code, registers, 0) {
        Some(end) => end.vector.map_or(Ok((end.rax, end.rdx)), Err),
        None => Err(u8::MAX),
    }
}
