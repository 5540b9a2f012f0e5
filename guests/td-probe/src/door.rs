// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDCALL` with every register in sight, RBP included.
//!
//! `tdcall`'s own door hides what `TDG.VP.ENTER` leaves in RBP and fixes exceptions up; here both
//! are what is looked at.
//!
//! Spec: TDX-ABI "TDCALL Instruction".
#![expect(unsafe_code, reason = "TDCALL has no intrinsic")]

use core::{arch::asm, mem::offset_of};

use tdcall::Registers;

use crate::trap;

/// What RBP holds before the call.
pub(crate) const RBP_BEFORE: u64 = 0x5b5b_0005;

#[repr(C)]
struct All {
    registers: Registers,
    rbp: u64,
}

/// Loads all registers, executes `TDCALL`, stores all registers.
macro_rules! door {
    ($all:expr) => {
        asm!(
            "push rbx",
            "push rbp",
            "push rax",
            "lea rcx, [rip + 2f]",
            "mov [rip + {start}], rcx",
            "lea rcx, [rip + 3f]",
            "mov [rip + {resume}], rcx",
            "mov rcx, [rax + {RCX}]",
            "mov rdx, [rax + {RDX}]",
            "mov rbx, [rax + {RBX}]",
            "mov rbp, [rax + {RBP}]",
            "mov rsi, [rax + {RSI}]",
            "mov rdi, [rax + {RDI}]",
            "mov r8, [rax + {R8}]",
            "mov r9, [rax + {R9}]",
            "mov r10, [rax + {R10}]",
            "mov r11, [rax + {R11}]",
            "mov r12, [rax + {R12}]",
            "mov r13, [rax + {R13}]",
            "mov r14, [rax + {R14}]",
            "mov r15, [rax + {R15}]",
            "mov rax, [rax + {RAX}]",
            "2:",
            ".byte 0x66, 0x0f, 0x01, 0xcc",
            "3:",
            "push rax",
            "mov rax, [rsp + 8]",
            "pop qword ptr [rax + {RAX}]",
            "mov [rax + {RCX}], rcx",
            "mov [rax + {RDX}], rdx",
            "mov [rax + {RBX}], rbx",
            "mov [rax + {RBP}], rbp",
            "mov [rax + {RSI}], rsi",
            "mov [rax + {RDI}], rdi",
            "mov [rax + {R8}], r8",
            "mov [rax + {R9}], r9",
            "mov [rax + {R10}], r10",
            "mov [rax + {R11}], r11",
            "mov [rax + {R12}], r12",
            "mov [rax + {R13}], r13",
            "mov [rax + {R14}], r14",
            "mov [rax + {R15}], r15",
            "pop rax",
            "pop rbp",
            "pop rbx",
            start = sym trap::START,
            resume = sym trap::RESUME,
            RAX = const offset_of!(Registers, rax),
            RCX = const offset_of!(Registers, rcx),
            RDX = const offset_of!(Registers, rdx),
            RBX = const offset_of!(Registers, rbx),
            RBP = const offset_of!(All, rbp),
            RSI = const offset_of!(Registers, rsi),
            RDI = const offset_of!(Registers, rdi),
            R8 = const offset_of!(Registers, r8),
            R9 = const offset_of!(Registers, r9),
            R10 = const offset_of!(Registers, r10),
            R11 = const offset_of!(Registers, r11),
            R12 = const offset_of!(Registers, r12),
            R13 = const offset_of!(Registers, r13),
            R14 = const offset_of!(Registers, r14),
            R15 = const offset_of!(Registers, r15),
            inlateout("rax") core::ptr::from_mut::<All>($all) => _,
            lateout("rcx") _,
            lateout("rdx") _,
            lateout("rsi") _,
            lateout("rdi") _,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
        )
    };
}

/// Calls the module; returns RBP as it was behind the call. An exception of the call is left to
/// [`trap::taken`].
pub(crate) fn tdcall(registers: &mut Registers) -> u64 {
    let mut all = All { registers: *registers, rbp: RBP_BEFORE };
    // SAFETY: 1. The assembly writes to `all`, to its own stack and to the words of `trap`, restores
    // RBX and RBP, and declares all other registers as changed. 2. What a leaf does to memory it does
    // to the pages of `memory`, to which Rust has no references.
    unsafe {
        door!(&mut all);
    };
    *registers = all.registers;
    all.rbp
}
