// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the reset vector to Rust: 32-bit protected mode, page tables from the image, long mode.
//!
//! Every virtual CPU starts here in the same state, told apart by ESI. The first one goes on to
//! [`start`](crate::start); the others wait, without a stack of their own use and without touching
//! memory that may not be accepted yet, until it has let them go.
//!
//! The host may send an NMI at any time, and one without a gate would be a triple fault. So each CPU loads a table
//! with that one gate as soon as it has a stack; the few instructions before that cannot be defended.
//!
//! # Orderings
//! [`RELEASED`] is stored with Release when all memory is accepted and all shared state is made. The
//! waiting loop is assembly; x86 loads acquire.
//!
//! Spec: TDVF "Reset vector"; TDX-ABI "VCPU initial state"; SDM "Switching to 64-Bit Mode".
#![expect(unsafe_code, reason = "the CPU starts in assembly")]

use core::{
    arch::global_asm,
    cell::UnsafeCell,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{cpus::MAX_VCPUS, start};

/// Bytes of a stack, its guard page included.
pub(crate) const STACK: usize = 0x8000;

/// Set once the others may come.
static RELEASED: AtomicU32 = AtomicU32::new(0);

/// The CPUs' stacks. The lowest page of each is never mapped once there are final page tables.
#[repr(C, align(4096))]
struct Stacks(UnsafeCell<[[u8; STACK]; MAX_VCPUS]>);

// SAFETY: Rust never refers to the content; each CPU's stack pointer stays within its own part.
unsafe impl Sync for Stacks {}

#[unsafe(link_section = ".stacks")]
static STACKS: Stacks = Stacks(UnsafeCell::new([[0; STACK]; MAX_VCPUS]));

/// Lets the other CPUs out of the assembly.
pub(crate) fn release_others() {
    RELEASED.store(1, Ordering::Release);
}

/// Address of the lowest byte of the stack of CPU `index`.
pub(crate) fn stack_bottom(index: usize) -> u64 {
    STACKS.0.get().addr() as u64 + (index * STACK) as u64
}

global_asm!(
    // The first instruction of every virtual CPU, 16 bytes below 4 GiB.
    ".pushsection .reset, \"ax\", @progbits",
    ".code32",
    ".globl reset_vector",
    "reset_vector:",
    "jmp .Lboot32",
    ".balign 16, 0xf4",
    ".popsection",
    //
    ".pushsection .text.boot, \"ax\", @progbits",
    ".code32",
    ".balign 16",
    ".Lboot32:",
    "cli",
    "cld",
    "lgdtl .Lboot_gdt_pointer",
    // CR4.MCE is already 1 and must stay so.
    "movl %cr4, %eax",
    "orl $0x20, %eax",
    "movl %eax, %cr4",
    "movl $.Lboot_pml4, %eax",
    "movl %eax, %cr3",
    // EFER.LME is already 1; paging makes it long mode. WP keeps the image's constants constant.
    "movl %cr0, %eax",
    "orl $0x80010000, %eax",
    "movl %eax, %cr0",
    "ljmpl $0x08, $.Lboot64",
    ".code64",
    ".balign 16",
    ".Lboot64:",
    "movl $0x10, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    "xorl %eax, %eax",
    "movl %eax, %fs",
    "movl %eax, %gs",
    // The switch leaves the upper halves undefined.
    "movl %esi, %ebx",
    "cmpl ${max_vcpus}, %ebx",
    "jae .Lboot_park",
    "movl %ebx, %eax",
    "incl %eax",
    "imulq ${stack}, %rax, %rax",
    "leaq {stacks}(%rip), %rsp",
    "addq %rax, %rsp",
    "xorl %ebp, %ebp",
    // All CPUs write the same words.
    "leaq .Lboot_nmi(%rip), %rax",
    "movw %ax, .Lboot_nmi_gate(%rip)",
    "shrq $16, %rax",
    "movw %ax, .Lboot_nmi_gate + 6(%rip)",
    "lidt .Lboot_idt_pointer(%rip)",
    "testl %ebx, %ebx",
    "jz .Lboot_first",
    ".Lboot_wait:",
    "pause",
    "cmpl $0, {released}(%rip)",
    "je .Lboot_wait",
    "movl %ebx, %edi",
    "call {other}",
    ".Lboot_first:",
    // R8 is the only copy of the host's argument that keeps all its bits.
    "movq %r8, %rdi",
    "call {first}",
    // A CPU that there is no state for. HLT is #VE here and there is no table to take it: spin.
    ".Lboot_park:",
    "pause",
    "jmp .Lboot_park",
    //
    // Nobody waits for an NMI of the host's.
    ".Lboot_nmi:",
    "iretq",
    //
    ".balign 8",
    ".Lboot_gdt:",
    ".quad 0",
    ".quad 0x00af9b000000ffff",
    ".quad 0x00cf93000000ffff",
    ".Lboot_gdt_pointer:",
    ".word 23",
    ".long .Lboot_gdt",
    ".popsection",
    //
    // Gates 0 to 2, of which the last is present: an interrupt gate of ring 0. Its offset is below 4 GiB.
    ".pushsection .data.boot_gates, \"aw\", @progbits",
    ".balign 16",
    ".Lboot_idt:",
    ".fill 4, 8, 0",
    ".Lboot_nmi_gate:",
    ".word 0, 0x08, 0x8e00, 0",
    ".quad 0",
    ".Lboot_idt_pointer:",
    ".word 47",
    ".quad .Lboot_idt",
    ".popsection",
    //
    // Identity, by pages of 1 GiB: 512 GiB of them, writable, accessed and dirty.
    ".pushsection .data.boot_tables, \"aw\", @progbits",
    ".balign 4096",
    ".Lboot_pml4:",
    ".quad .Lboot_pdpt + 0x23",
    ".fill 511, 8, 0",
    ".Lboot_pdpt:",
    ".set .Lboot_gib, 0",
    ".rept 512",
    ".quad (.Lboot_gib << 30) + 0xe3",
    ".set .Lboot_gib, .Lboot_gib + 1",
    ".endr",
    ".popsection",
    max_vcpus = const MAX_VCPUS,
    stack = const STACK,
    stacks = sym STACKS,
    released = sym RELEASED,
    first = sym start::first,
    other = sym start::other,
    options(att_syntax),
);
