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

/// What L1 puts into L2's RAM, and the map that tells so.
pub mod platform_area;

/// Pieces of a kernel, and where they may go.
pub mod segment;

/// ELF files.
pub mod elf;

/// Kernels that start by a PVH note.
pub mod pvh;

/// Kernels that start by a multiboot header.
pub mod multiboot;

/// Kernels of either kind.
pub mod kernel;

/// A payload that is a Linux kernel.
pub mod linux;

/// L2's machine, as it is told.
pub mod acpi;

/// What a CPU needs to start in 64-bit mode.
pub mod long_mode;

/// How L2 starts its other CPUs.
pub mod mailbox;

/// What L2 is told at its start.
pub mod hand_off;

/// The same in the words of PVH.
pub mod start_info;

/// The same in the words of multiboot.
pub mod multiboot_info;

/// L2's memory, as L1 reads it.
pub mod guest_memory;

/// Which pages of it the host may see.
pub mod page_set;

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

/// Interrupts of the host's devices that come by a line.
pub mod intx;

/// The ACPI tables of the host's machine.
pub mod host_tables;

/// PCI as L2 sees it.
pub mod pci;

/// As which hypervisor L1 shows itself.
pub mod identity;

/// The processor that L2 sees.
pub mod cpuid;

/// The interface of Hyper-V.
pub mod hyperv;

/// A host of Hyper-V's kind.
pub mod hyperv_host;

/// Statements about the TD by the host's quoting service.
pub mod quote;

/// L2's model-specific registers.
pub mod msr;

/// L2's local APIC.
pub mod local_apic;
