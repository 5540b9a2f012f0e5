// SPDX-License-Identifier: MIT OR Apache-2.0
//! #VE: accidents, since L1 asks the host by TDVMCALL.
//!
//! The information is taken first, because until then a second #VE is #DF and NMIs are held back.
//! Two causes are survived: CPUID of a leaf that the module does not virtualise reads as zeros, and
//! HLT does nothing. Shared memory that is not there is the host's doing: it never was, or was taken back.
//! All else is a bug of L1.
//!
//! Spec: TDX-BASE "Virtualization Exception (#VE)".

use cpu::interrupt::Frame;
use tdcall::{ExitReason, Instruction, tdg};

use super::counters::VIRTUALIZATION_EXCEPTIONS;
use crate::{epitaph, memory::window};

/// Handles a #VE.
pub(super) fn handle(frame: &mut Frame) {
    let Ok(info) = tdg::vp_veinfo_get(&Instruction) else {
        return epitaph::exception(frame);
    };
    VIRTUALIZATION_EXCEPTIONS.add();
    match info.exit_reason.basic() {
        ExitReason::CPUID => (frame.rax, frame.rbx, frame.rcx, frame.rdx) = (0, 0, 0, 0),
        ExitReason::HLT => {}
        ExitReason::EPT_VIOLATION if window::is_shared(info.gla) => epitaph::give_up(format_args!(
            "the host has no memory at the shared page {:#x}",
            info.gpa
        )),
        reason => return epitaph::virtualization(frame, reason, &info),
    }
    frame.rip = frame.rip.wrapping_add(u64::from(info.instruction_length));
}
