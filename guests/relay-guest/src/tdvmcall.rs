// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls to the host from any CPU, at the same time, where it is known that there is a TDCALL.
//!
//! Spec: TDX-ABI "TDG.VP.VMCALL Leaf".
#![expect(unsafe_code, reason = "TDCALL has no intrinsic")]

use core::arch::asm;

/// R10 to R13 are what the host may see.
const EXPOSED: u64 = 0x3c00;

/// Asks the host, or who answers in its place: status, and result.
pub(crate) fn tdvmcall(function: u64, r12: u64, r13: u64) -> (u64, u64) {
    let (refused, status, result): (u64, u64, u64);
    // SAFETY: No function that is called here writes registers other than those, or memory that Rust has
    // plain references to.
    unsafe {
        asm!(
            ".byte 0x66, 0x0f, 0x01, 0xcc",
            inout("rax") 0_u64 => refused,
            inout("rcx") EXPOSED => _,
            inout("r10") 0_u64 => status,
            inout("r11") function => result,
            inout("r12") r12 => _,
            inout("r13") r13 => _,
            options(nostack),
        );
    }
    (if refused == 0 { status } else { refused }, result)
}
