// SPDX-License-Identifier: MIT OR Apache-2.0
//! L1's own x2APIC.
//!
//! EOI and the IRR are the module's and cost no exit. An IPI is the host's to deliver, and so is the
//! timer.
//!
//! Spec: TDX-BASE "Virtual APIC"; SDM "x2APIC Mode"; GHCI "TDG.VP.VMCALL<Instruction.WRMSR>".
#![expect(unsafe_code, reason = "MSRs of the APIC")]

use cpu::apic::{IA32_TSC_DEADLINE, Register};
use tdcall::{Instruction, tdvmcall};
use x86_64::registers::model_specific::Msr;

use crate::interrupt::{counters::HOST_REFUSALS, vectors};

/// LVT timer: TSC-deadline mode.
const TSC_DEADLINE_MODE: u64 = 2 << 17;

/// Ends the interrupt in service.
pub(crate) fn end_of_interrupt() {
    // SAFETY: The MSR exists in a TD and takes 0; the caller is the handler of the interrupt.
    unsafe { Msr::new(Register::EOI.msr()).write(0) };
}

/// The reserved vectors that wait for L1.
pub(crate) fn reserved_irr() -> u32 {
    let bank = u32::from(vectors::RELAY.irr_bank());
    // SAFETY: The MSR exists in a TD; reading it changes nothing.
    paravisor::width::low32(unsafe { Msr::new(Register::IRR.msr() + bank).read() })
}

/// Whether `vector` was delivered as an interrupt and not ended yet.
pub(crate) fn is_in_service(vector: u8) -> bool {
    let bank = u32::from(vector / 32);
    // SAFETY: The MSR exists in a TD; reading it changes nothing.
    let in_service = unsafe { Msr::new(Register::ISR.msr() + bank).read() };
    in_service >> (vector % 32) & 1 == 1
}

/// Interrupts CPU `index` with `vector`.
pub(crate) fn send_ipi(index: usize, vector: u8) {
    let command = paravisor::width::wide(index) << 32 | u64::from(vector);
    write(Register::ICR.msr(), command);
}

/// Asks the host for the timer interrupt at `deadline` of this CPU's TSC.
pub(crate) fn arm_timer(deadline: u64) {
    write(Register::LVT_TIMER.msr(), TSC_DEADLINE_MODE | u64::from(vectors::TIMER));
    write(IA32_TSC_DEADLINE, deadline);
}

/// A refusal is counted only: the next pass of the caller finds its work by itself or asks again.
fn write(msr: u32, value: u64) {
    if tdvmcall::wrmsr(&Instruction, msr, value).is_err() {
        HOST_REFUSALS.add();
    }
}
