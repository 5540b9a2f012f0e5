// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what QEMU or a SIPI leaves behind to 64-bit mode, for the CPU that boots and for the others.
//!
//! The CPU that boots arrives at `pvh_entry` in 32-bit protected mode with EBX = start info, goes on
//! with a stack of its own and calls `boot::start`. The others arrive at the trampoline, copied to
//! `TRAMPOLINE`, in real mode; they report by APIC ID, wait for a number, take the stack of that
//! number and call `cpus::start::start`. Both ways share the descriptor table, the page tables and
//! `machine_enter_long_mode`.
//!
//! The map is the identity over 512 GiB in 1 GiB pages: L0 sees physical addresses only.
//!
//! Spec: PVH "boot ABI"; SDM "Initializing IA-32e Mode"; SDM "MP Initialization Protocol".
#![expect(unsafe_code, reason = "there is no Rust before long mode")]

use core::arch::global_asm;

use super::{
    boot,
    cpus::{self, start},
};

/// The page where the others begin; a SIPI can name one below 1 MiB only.
pub(super) const TRAMPOLINE_PAGE: u8 = 8;

/// The address of that page.
pub(super) const TRAMPOLINE: u64 = (TRAMPOLINE_PAGE as u64) << 12;

/// What the identity map covers.
pub(super) const MAPPED: u64 = 512 << 30;

unsafe extern "C" {
    static machine_trampoline: [u8; 0];
    static machine_trampoline_end: [u8; 0];
    static machine_pdpt: [u8; 0];
}

/// Returns the address of the table whose first entry maps the first GiB.
pub(super) fn first_gib() -> u64 {
    (&raw const machine_pdpt).addr() as u64
}

/// Returns the code that belongs at [`TRAMPOLINE`].
pub(super) fn trampoline() -> &'static [u8] {
    let (start, end) = (&raw const machine_trampoline, &raw const machine_trampoline_end);
    let length = end.addr() - start.addr();
    // SAFETY: both symbols lie in the assembly below, in this order, in read-only memory.
    unsafe { core::slice::from_raw_parts(start.cast(), length) }
}

// The note by which QEMU knows the entry: name "Xen", type XEN_ELFNOTE_PHYS32_ENTRY.
global_asm!(
    ".pushsection .note.pvh, \"a\", @note",
    ".balign 4",
    ".long 4, 4, 18",
    ".asciz \"Xen\"",
    ".long pvh_entry",
    ".popsection",
);

// Descriptors: 0x08 is 64-bit code, 0x10 data, 0x18 32-bit code; flat and already accessed, so that
// the CPU need not write to the table.
global_asm!(
    ".pushsection .rodata.machine_gdt, \"a\", @progbits",
    ".balign 8",
    "machine_gdt:",
    ".quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff",
    "machine_gdt_pointer:",
    ".word machine_gdt_pointer - machine_gdt - 1",
    ".quad machine_gdt",
    ".popsection",
);

// Page tables: in writable memory, because the CPU sets accessed and dirty bits.
global_asm!(
    ".pushsection .data.machine_page_tables, \"aw\", @progbits",
    ".balign 4096",
    "machine_pml4:",
    ".quad machine_pdpt + 0x3",
    ".zero 511 * 8",
    ".globl machine_pdpt",
    "machine_pdpt:",
    ".set machine_pdpt_entry, 0x83", // present, writable, 1 GiB
    ".rept 512",
    ".quad machine_pdpt_entry",
    ".set machine_pdpt_entry, machine_pdpt_entry + (1 << 30)",
    ".endr",
    ".popsection",
);

global_asm!(
    ".pushsection .text.boot, \"ax\", @progbits",
    ".code32",
    ".globl pvh_entry",
    "pvh_entry:",
    "cli; cld",
    "movl %ebx, %edi", // first argument of `start`
    "movl $machine_first_cpu, %esi",
    "jmp machine_enter_long_mode",
    "machine_other_cpu_32:",
    "movw $0x10, %ax; movw %ax, %ds",
    "movl $machine_other_cpu, %esi",
    // ESI: where to go in 64-bit mode. EDI is kept; there is no stack yet.
    "machine_enter_long_mode:",
    "lgdt machine_gdt_pointer",
    "movl $0x620, %eax; movl %eax, %cr4", // PAE, OSFXSR, OSXMMEXCPT
    "movl $machine_pml4, %eax; movl %eax, %cr3",
    "movl $0xc0000080, %ecx; xorl %edx, %edx; movl $0x900, %eax; wrmsr", // EFER: LME, NXE
    "movl $0x80010033, %eax; movl %eax, %cr0", // PG, WP, NE, ET, MP, PE
    "ljmp $0x08, $machine_long_mode",
    ".code64",
    "machine_long_mode:",
    "movl $0x10, %eax; movl %eax, %ds; movl %eax, %es; movl %eax, %ss",
    "xorl %eax, %eax; movl %eax, %fs; movl %eax, %gs; lldt %ax",
    "xorl %ebp, %ebp", // ends the chain of frame pointers
    "jmp *%rsi",
    "machine_first_cpu:",
    "leaq {stacks} + {boot_stack_end}(%rip), %rsp",
    "call {start_first}",
    "ud2",
    "machine_other_cpu:",
    "movl $1, %eax; cpuid; shrl $24, %ebx", // initial APIC ID
    "lock btsl %ebx, {present}(%rip)",
    "leaq {numbers}(%rip), %rcx",
    "2:",
    "movzbl (%rcx, %rbx), %edi", // the number plus 1; 0: not numbered yet
    "testl %edi, %edi",
    "jnz 3f",
    "pause",
    "jmp 2b",
    "3:",
    "imull ${stack_size}, %edi, %eax",
    "leaq {stacks}(%rip), %rsp; addq %rax, %rsp",
    "decl %edi", // first argument of `start`
    "call {start_other}",
    "ud2",
    ".popsection",
    stacks = sym cpus::STACKS,
    stack_size = const cpus::STACK_SIZE,
    boot_stack_end = const cpus::STACK_SIZE * (cpus::BOOT + 1),
    present = sym start::PRESENT,
    numbers = sym start::NUMBERS,
    start_first = sym boot::start,
    start_other = sym start::start,
    options(att_syntax),
);

global_asm!(
    ".pushsection .rodata.machine_trampoline, \"a\", @progbits",
    ".balign 16",
    ".globl machine_trampoline, machine_trampoline_end",
    ".code16",
    "machine_trampoline:",
    "cli; cld",
    "xorw %ax, %ax; movw %ax, %ds",
    "lgdtl {at} + machine_trampoline_gdt_pointer - machine_trampoline",
    "movl $0x11, %eax; movl %eax, %cr0", // ET, PE
    "ljmpl $0x18, $machine_other_cpu_32",
    ".balign 4",
    "machine_trampoline_gdt_pointer:",
    ".word machine_gdt_pointer - machine_gdt - 1",
    ".long machine_gdt",
    "machine_trampoline_end:",
    ".code64",
    ".popsection",
    at = const TRAMPOLINE,
    options(att_syntax),
);
