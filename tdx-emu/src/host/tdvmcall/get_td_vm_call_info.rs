// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GetTdVmCallInfo`: R12 = 0: nothing but the base set is promised by R11 to R14 being 0.
//! R12 = 1: bits of R11 for the optional sub-functions.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<GetTdVmCallInfo>`".

use tdcall::{Registers, tdvmcall::VmcallStatus};

const GET_QUOTE: u64 = 1 << 0;
const SETUP_EVENT_NOTIFY_INTERRUPT: u64 = 1 << 1;

pub(super) fn answer(registers: &mut Registers) -> VmcallStatus {
    registers.r11 = match registers.r12 {
        0 => 0,
        1 => GET_QUOTE | SETUP_EVENT_NOTIFY_INTERRUPT,
        _ => return VmcallStatus::INVALID_OPERAND,
    };
    [registers.r12, registers.r13, registers.r14] = [0; 3];
    VmcallStatus::SUCCESS
}
