// SPDX-License-Identifier: MIT OR Apache-2.0
//! The paravisor's decisions, without its hands: parsers, tables and models that touch no hardware.
//!
//! What is here runs in plain unit tests on any machine. The binary of the same name adds what needs
//! a Trust Domain: boot, memory, interrupts, TDCALLs and the loop around L2.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

/// Register values seen at another width.
pub mod width;

/// The paravisor's own command line.
pub mod command_line;

/// The TD's RAM, and whose it is.
pub mod memory_map;

/// The L2 payload.
pub mod pvh;

/// A payload that is a Linux kernel.
pub mod linux;

/// L2's machine, as it is told.
pub mod acpi;

/// What a PVH payload finds at its start.
pub mod start_info;

/// L2's memory, as L1 reads it.
pub mod guest_memory;

/// L2's own paging.
pub mod page_walk;

/// The instruction behind an intercepted memory access.
pub mod mmio;

/// What L2's exits mean.
pub mod exit;

/// L2's ports, and how it ends its run by them.
pub mod platform;

/// L2's serial port.
pub mod uart;

/// L2's IO-APIC.
pub mod io_apic;

/// PCI as L2 sees it.
pub mod pci;

/// The processor that L2 sees.
pub mod cpuid;

/// L2's model-specific registers.
pub mod msr;

/// L2's local APIC.
pub mod local_apic;
