// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one door to the module.
//!
//! Everything else of this crate fills a [`Registers`] and goes through it. `Instruction` is the
//! real door; the tests use a scripted stand-in, so that no test needs a TD.
//!
//! Spec: TDX-ABI, "TDCALL Instruction".

#![expect(unsafe_code, reason = "what a raw call does is up to its leaf")]

use crate::Registers;

/// Executes `TDCALL`.
///
/// RAX of the registers is the leaf at entry and the status at exit. If the instruction itself
/// raises an exception, RAX is [`Status::from_trap`](crate::Status::from_trap), provided that the
/// exception handler calls [`fixup`](mod@crate::fixup).
pub trait Tdcall {
    /// Calls any leaf but `TDG.VP.ENTER`.
    ///
    /// # Safety
    ///
    /// The caller upholds whatever the leaf in `r.rax` asks for: nothing for a leaf that only
    /// reads, exclusive memory for one that writes memory or takes it away.
    unsafe fn tdcall(&self, r: &mut Registers);

    /// Enables interrupts by `STI` and calls the leaf in its shadow, so that no interrupt comes
    /// between the two. Interrupts are enabled when it returns.
    ///
    /// # Safety
    ///
    /// As for [`tdcall`](Self::tdcall). The caller is ready for interrupts.
    unsafe fn tdcall_with_interrupts(&self, r: &mut Registers);

    /// Calls `TDG.VP.ENTER` with `flags` and the GPA of the state page. It destroys every general register
    /// including RBX and RBP, which are saved and restored. Returns what the module left in the registers
    /// that report; RBX, R14 and R15 do not, and are zero.
    ///
    /// # Safety
    ///
    /// 1. The page at `state` is memory of the caller that nothing else uses meanwhile.
    /// 2. What L1 and L2 share and this door does not save (extended state, CR2, DR0 to DR3, DR6,
    ///    and the MSRs that are not in the VMCS) holds nothing that the caller still needs, or the
    ///    caller saves it.
    /// 3. The L2 VM can reach no memory that Rust code here relies on.
    unsafe fn enter(&self, flags: u64, state: u64) -> Registers;
}
