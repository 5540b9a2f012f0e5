// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the reset vector to Rust: 32-bit protected mode, static page tables, long mode.
//!
//! Only the first virtual CPU goes on. The second one is its helper: it interrupts the first, which may be
//! halted, when it is told to. The others spin.
//!
//! | virtual address  | what                                |
//! |------------------|-------------------------------------|
//! | 0 – 512 GiB      | private memory at the same address  |
//! | 512 GiB – 1 TiB  | shared memory at (VA − 512 GiB)     |
//!
//! Spec: TDVF "Reset vector"; TDX-ABI "VCPU initial state"; SDM "Switching to 64-Bit Mode".
#![expect(unsafe_code, reason = "the CPU starts in assembly")]

use core::{
    arch::global_asm,
    cell::UnsafeCell,
    sync::atomic::{AtomicU32, AtomicU64},
};

use crate::checks;

/// Bytes of the stack.
const STACK: usize = 0x1_0000;

/// Where shared memory begins in the address space of the probe.
pub(crate) const SHARED_WINDOW: u64 = 512 << 30;

/// The code segment.
pub(crate) const CODE: u16 = 0x08;

#[repr(C, align(4096))]
struct Stack(UnsafeCell<[u8; STACK]>);

// SAFETY: Rust never refers to the content; one CPU has a stack.
unsafe impl Sync for Stack {}

/// Interrupt commands that the helper executes for one order.
pub(crate) const COMMANDS_AT_A_TIME: usize = 2;

/// Ticks of the time-stamp counter that it waits before each.
const PAUSE: u64 = 20_000_000;

/// The order: not 0.
pub(crate) static HELP: AtomicU32 = AtomicU32::new(0);
/// Commands executed, in all.
pub(crate) static HELPED: AtomicU32 = AtomicU32::new(0);
/// The commands.
pub(crate) static COMMANDS: [AtomicU64; COMMANDS_AT_A_TIME] =
    [const { AtomicU64::new(0) }; COMMANDS_AT_A_TIME];

static BOOT_STACK: Stack = Stack(UnsafeCell::new([0; STACK]));

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
    "cmpl $1, %esi",
    "ja .Lboot_park",
    "lgdtl .Lboot_gdt_pointer",
    // PAE; CR4.MCE is already 1 and must stay so.
    "movl %cr4, %eax",
    "orl $0x20, %eax",
    "movl %eax, %cr4",
    "movl $.Lboot_pml4, %eax",
    "movl %eax, %cr3",
    // EFER.LME is already 1; paging makes it long mode.
    "movl %cr0, %eax",
    "orl $0x80010000, %eax",
    "movl %eax, %cr0",
    "ljmpl $0x08, $.Lboot64",
    ".Lboot_park:",
    "pause",
    "jmp .Lboot_park",
    ".code64",
    ".balign 16",
    ".Lboot64:",
    "movl %esi, %ebx",
    "testl %ebx, %ebx",
    "jnz .Lboot_help",
    "movl $0x10, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    "xorl %eax, %eax",
    "movl %eax, %fs",
    "movl %eax, %gs",
    "leaq {stack}(%rip), %rsp",
    "addq ${size}, %rsp",
    "xorl %ebp, %ebp",
    "call {start}",
    //
    // The helper: for each command, wait a while, then have the host execute it as a write of the APIC's
    // interrupt command. It needs no stack.
    ".Lboot_help:",
    "movl $0, {helped}(%rip)",
    ".Lboot_help_wait:",
    "pause",
    "cmpl $0, {help}(%rip)",
    "je .Lboot_help_wait",
    "movl $0, {help}(%rip)",
    "xorl %ebp, %ebp",
    ".Lboot_help_next:",
    "rdtsc",
    "shlq $32, %rdx",
    "orq %rdx, %rax",
    "leaq {pause}(%rax), %rdi",
    ".Lboot_help_pause:",
    "pause",
    "rdtsc",
    "shlq $32, %rdx",
    "orq %rdx, %rax",
    "cmpq %rdi, %rax",
    "jb .Lboot_help_pause",
    "leaq {commands}(%rip), %rsi",
    "movq (%rsi, %rbp, 8), %r13",
    "xorl %eax, %eax",
    "movl $0x3c00, %ecx",
    "xorl %r10d, %r10d",
    "movl $32, %r11d",
    "movl $0x830, %r12d",
    ".byte 0x66, 0x0f, 0x01, 0xcc",
    "incq %rbp",
    "lock incl {helped}(%rip)",
    "cmpq ${count}, %rbp",
    "jb .Lboot_help_next",
    "jmp .Lboot_help_wait",
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
    ".pushsection .data.boot_tables, \"aw\", @progbits",
    ".balign 4096",
    ".Lboot_pml4:",
    ".quad .Lboot_private + 0x23",
    ".quad .Lboot_shared + 0x23",
    ".fill 510, 8, 0",
    ".Lboot_private:",
    ".set .Lboot_gib, 0",
    ".rept 512",
    ".quad (.Lboot_gib << 30) + 0xe3",
    ".set .Lboot_gib, .Lboot_gib + 1",
    ".endr",
    ".Lboot_shared:",
    ".set .Lboot_gib, 0",
    ".rept 512",
    ".quad (1 << 47) + (.Lboot_gib << 30) + 0xe3",
    ".set .Lboot_gib, .Lboot_gib + 1",
    ".endr",
    ".popsection",
    stack = sym BOOT_STACK,
    size = const STACK,
    start = sym checks::run,
    help = sym HELP,
    helped = sym HELPED,
    commands = sym COMMANDS,
    count = const COMMANDS_AT_A_TIME,
    pause = const PAUSE,
    options(att_syntax),
);
