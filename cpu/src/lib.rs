// SPDX-License-Identifier: MIT OR Apache-2.0
//! The x86 words that the `x86_64` crate lacks, shared by the emulator, the paravisor and the L2
//! payloads.
//!
//! A word belongs here when at least two of the three binaries say it. CPUID is not here: the
//! intrinsic `core::arch::x86_64::__cpuid_count` is safe.
#![no_std]

/// The registers of the local APIC, by xAPIC offset and by x2APIC MSR.
pub mod apic;

/// One entry stub for each of the 256 vectors, and the table that leads to them.
pub mod interrupt;

mod interrupts_off;
mod string_output;
mod time;

pub use interrupts_off::InterruptsOff;
pub use string_output::write_string;
pub use time::tsc;
