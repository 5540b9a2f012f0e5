// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local APIC in x2APIC mode, by MSR.
//!
//! Spec: SDM "Extended XAPIC (x2APIC)".
#![expect(unsafe_code, reason = "MSRs")]

use cpu::apic::{IA32_APIC_BASE, IA32_TSC_DEADLINE, Register};
use x86_64::registers::model_specific::Msr;

/// Enable bits of IA32_APIC_BASE: the APIC itself, and its x2APIC mode.
const ENABLED: u64 = 1 << 11;
const EXTENDED: u64 = 1 << 10;

/// Software enable bit of SVR.
const SOFTWARE_ENABLED: u64 = 1 << 8;

/// LVT timer: TSC-deadline mode.
const TSC_DEADLINE_MODE: u64 = 2 << 17;

/// ICR: NMI, INIT and start-up, both with level "assert".
const NMI: u64 = 0x4400;
const INIT: u64 = 0x4500;
const STARTUP: u64 = 0x4600;

/// Enables this CPU's APIC and lets every priority through.
pub(crate) fn enable(spurious_vector: u8) {
    let base = read(IA32_APIC_BASE);
    if base & (ENABLED | EXTENDED) != ENABLED | EXTENDED {
        // From disabled to x2APIC there is no direct way.
        write(IA32_APIC_BASE, base | ENABLED);
        write(IA32_APIC_BASE, base | ENABLED | EXTENDED);
    }
    write(Register::SVR.msr(), SOFTWARE_ENABLED | u64::from(spurious_vector));
    write(Register::TPR.msr(), 0);
}

/// Ends the interrupt in service.
pub(crate) fn end_of_interrupt() {
    write(Register::EOI.msr(), 0);
}

/// Raises `vector` once, when the time-stamp counter of this CPU reaches `deadline`.
pub(crate) fn arm_timer(vector: u8, deadline: u64) {
    write(Register::LVT_TIMER.msr(), TSC_DEADLINE_MODE | u64::from(vector));
    write(IA32_TSC_DEADLINE, deadline);
}

/// Sends an NMI to the CPU with APIC id `id`.
pub(crate) fn non_maskable(id: u8) {
    write(Register::ICR.msr(), u64::from(id) << 32 | NMI);
}

/// Sends `vector` to the CPU with APIC id `id`.
pub(crate) fn interrupt(id: u8, vector: u8) {
    write(Register::ICR.msr(), u64::from(id) << 32 | u64::from(vector));
}

/// Makes the CPU with APIC id `id` wait for a start.
pub(crate) fn reset(id: u8) {
    write(Register::ICR.msr(), u64::from(id) << 32 | INIT);
}

/// Makes the CPU with APIC id `id` start at the page `trampoline`.
pub(crate) fn start(id: u8, trampoline: u32) {
    let destination = u64::from(id) << 32;
    write(Register::ICR.msr(), destination | INIT);
    write(Register::ICR.msr(), destination | STARTUP | u64::from(trampoline >> 12));
}

fn read(register: u32) -> u64 {
    // SAFETY: Only the registers above are read; none has a side effect.
    unsafe { Msr::new(register).read() }
}

fn write(register: u32, value: u64) {
    // SAFETY: Only the registers above are written, with values that leave memory as it is; a CPU
    // started by ICR runs the trampoline on a stack of its own.
    unsafe { Msr::new(register).write(value) }
}
