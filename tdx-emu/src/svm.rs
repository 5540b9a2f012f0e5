// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine: QEMU's AMD SVM, made to look like VMX to the TDX module above.
//!
//! Everything that is peculiar to SVM, and every quirk of QEMU's emulation of it, stays in here.
//! The module above sees VMX words only: exit reasons, qualifications, interruption information.
//!
//! Spec: APM "Secure Virtual Machine"; SDM "VM Exits".

/// Memory of the machine by host-physical address.
pub(crate) mod physical;

/// Parts of registers.
pub(crate) mod narrow;

/// The virtual-machine control block: one page, one virtual machine.
pub(crate) mod vmcb;

/// Nested page-table entries.
pub(crate) mod npt;

/// Which MSRs and ports exit.
pub(crate) mod permission_maps;

/// VMRUN, VMLOAD and VMSAVE.
pub(crate) mod vmrun;

/// A guest's memory by linear address, through its page tables and the nested ones.
pub(crate) mod guest_memory;

/// The instruction that exited, where SVM does not say.
pub(crate) mod decode;

/// Breakpoints that are no longer there.
pub(crate) mod stale_code;

/// SVM's exit codes in VMX words.
pub(crate) mod exit;

/// Virtual-interrupt delivery and x2APIC virtualization, which TCG's SVM lacks.
pub(crate) mod virtual_apic;
