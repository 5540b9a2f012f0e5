// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions with an error code, when it was the host that raised their vector.
//!
//! A posted interrupt may have any vector from 16 on, and comes without an error code. For most
//! vectors a look at the APIC's in-service register tells it from the exception. For #AC, #CP, #VC
//! and #SX the difference must be seen earlier, because a handler that expects an error code would
//! return through a frame that is off by one word.
//!
//! The processor aligns the stack to 16 bytes before it pushes the frame: five words for an
//! interrupt, six for an exception with an error code. So bit 3 of RSP tells them apart.
//!
//! Spec: SDM "64-Bit Mode Stack Frame", "Exception and Interrupt Reference".
#![expect(unsafe_code, reason = "interrupt entry is assembly")]

use core::arch::global_asm;

use cpu::apic::Register;

use super::counters::{UNEXPECTED_INTERRUPTS, UNEXPECTED_OF_VECTOR};

/// The vectors in question: #AC, #CP, #VC, #SX.
const VECTORS: [u8; 4] = [17, 21, 29, 30];

/// Bytes from one stub to the next.
const STUB: usize = 64;

unsafe extern "C" {
    #[link_name = "interrupt_posted_exceptions"]
    safe static STUBS: [[u8; STUB]; VECTORS.len()];
}

/// The code behind `vector`, if it is one of these.
pub(super) fn stub(vector: u8) -> Option<u64> {
    let number = VECTORS.iter().position(|known| *known == vector)?;
    STUBS.get(number).map(|code| core::ptr::from_ref(code).addr() as u64)
}

global_asm!(
    ".pushsection .text.interrupt_posted_exceptions, \"ax\", @progbits",
    ".balign 64",
    ".globl interrupt_posted_exceptions",
    ".type interrupt_posted_exceptions, @function",
    "interrupt_posted_exceptions:",
    ".irp vector, {v0}, {v1}, {v2}, {v3}",
    ".balign 64",
    "test spl, 8",
    "jz cpu_interrupt_stubs + 16 * \\vector",
    "push rax",
    "push rcx",
    "push rdx",
    "lock inc qword ptr [rip + {unexpected}]",
    "lock inc qword ptr [rip + {of_vector} + 8 * \\vector]",
    "xor eax, eax",
    "xor edx, edx",
    "mov ecx, {eoi}",
    "wrmsr",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "iretq",
    ".endr",
    ".balign 64",
    ".size interrupt_posted_exceptions, . - interrupt_posted_exceptions",
    ".popsection",
    v0 = const VECTORS[0],
    v1 = const VECTORS[1],
    v2 = const VECTORS[2],
    v3 = const VECTORS[3],
    unexpected = sym UNEXPECTED_INTERRUPTS,
    of_vector = sym UNEXPECTED_OF_VECTOR,
    eoi = const Register::EOI.msr(),
);
