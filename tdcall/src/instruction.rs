// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real door: the instruction `TDCALL`, the only assembly of this crate.
//!
//! All general registers are loaded from and stored to a [`Registers`] by hand, because RBX and RBP
//! cannot be operands and because there would be none left. So the compiler is told that *every*
//! register changes, whichever the host was shown. RSP is the only register that survives the
//! instruction whatever the leaf, so the pointer to the [`Registers`] waits on the stack.
//!
//! The entry into an L2 VM takes three registers and gives back no RBX, so there the compiler has them
//! all, and keeps of the report what somebody reads.
//!
//! Each copy of the instruction has an entry in the table of [`fixup`](mod@crate::fixup).
//!
//! Spec: TDX-ABI, "TDCALL Instruction".

#![expect(unsafe_code, reason = "TDCALL has no intrinsic")]

use core::{arch::asm, mem::offset_of};

use crate::{Leaf, Registers, Tdcall};

/// The `TDCALL` of this processor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Instruction;

/// The instruction, and its entry in the table.
macro_rules! tdcall {
    () => {
        concat!(
            "2: .byte 0x66, 0x0f, 0x01, 0xcc\n",
            "3: .pushsection .tdcall_extable, \"a\", @progbits\n",
            ".balign 4\n",
            ".long 2b - .\n",
            ".long 3b - .\n",
            ".popsection",
        )
    };
}

/// Loads all registers, executes `TDCALL` after `$before`, stores all registers.
macro_rules! door {
    ($r:expr, $before:literal) => {
        asm!(
            "push rbx",
            "push rbp",
            "push rax",
            "mov rbx, [rax + {RBX}]",
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
            "mov rcx, [rax + {RCX}]",
            "mov rdx, [rax + {RDX}]",
            "mov rax, [rax + {RAX}]",
            $before,
            tdcall!(),
            "push rax",
            "mov rax, [rsp + 8]",
            "pop qword ptr [rax + {RAX}]",
            "mov [rax + {RCX}], rcx",
            "mov [rax + {RDX}], rdx",
            "mov [rax + {RBX}], rbx",
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
            RAX = const offset_of!(Registers, rax),
            RCX = const offset_of!(Registers, rcx),
            RDX = const offset_of!(Registers, rdx),
            RBX = const offset_of!(Registers, rbx),
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
            inlateout("rax") core::ptr::from_mut::<Registers>($r) => _,
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

impl Tdcall for Instruction {
    unsafe fn tdcall(&self, r: &mut Registers) {
        // SAFETY: The caller upholds what the leaf asks for. The assembly writes to `r` and to its
        // own stack only, restores RBX and RBP, and declares all other registers as changed.
        unsafe { door!(r, "") };
    }

    unsafe fn tdcall_with_interrupts(&self, r: &mut Registers) {
        // SAFETY: As above; the caller is ready for interrupts, which STI enables.
        unsafe { door!(r, "sti") };
    }

    #[inline]
    unsafe fn enter(&self, flags: u64, state: u64) -> Registers {
        let mut r = Registers::ZERO;
        // SAFETY: As above. The L2 VM may have changed every register but RSP: RBX and RBP come back
        // from the stack, all others are declared as changed. The leaf takes RAX, RCX and RDX; what the
        // others hold is L1's and stays with the module, which is trusted.
        unsafe {
            asm!(
                "push rbx",
                "push rbp",
                tdcall!(),
                "pop rbp",
                "pop rbx",
                inlateout("rax") Leaf::VP_ENTER.rax() => r.rax,
                inlateout("rcx") flags => r.rcx,
                inlateout("rdx") state => r.rdx,
                lateout("rsi") r.rsi,
                lateout("rdi") r.rdi,
                lateout("r8") r.r8,
                lateout("r9") r.r9,
                lateout("r10") r.r10,
                lateout("r11") r.r11,
                lateout("r12") r.r12,
                lateout("r13") r.r13,
                lateout("r14") _,
                lateout("r15") _,
            );
        }
        r
    }
}
