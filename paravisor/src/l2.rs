// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2: the virtual machine that L1 runs.
//!
//! One virtual CPU of L2 on each of L1's, pinned. What it owns, its CPU's loop owns; what others leave
//! for it goes through the relay block, or through `signals`.

/// What all CPUs of L2 have in common, and its making.
mod vm;

/// Copying the payload into L2's memory.
mod load;

/// What every L2 is told of its machine.
mod platform;

/// Fields of L2's VMCS and of the virtual CPU.
mod fields;

/// What exits, and what the processor does by itself.
mod controls;

/// Registers at the start: of the first CPU, and of one that was woken by another.
mod entry_state;

/// One virtual CPU.
mod vcpu;

/// The loop around L2.
mod run;

/// The identity of Hyper-V.
mod hyperv;

/// Memory between L2 and the host.
mod visibility;

/// What the relay asks of this CPU.
mod requests;

/// HLT.
mod halt;

/// VMBus.
mod vmbus;

/// INIT, start-up and NMI from one CPU to another; notifications.
mod signals;

/// Quotes.
mod quote;

/// What the host notifies of.
mod events;

/// Interrupts that a CPU takes for another.
mod forward;

/// What CPUs have sent to each other.
mod sent;

/// What an exit leads to.
mod exit;

/// The host's ACPI tables, and what they say of lines.
mod host_tables;

/// The ways to the files that they are.
mod host_files;

/// The VM that runs their AML.
mod aml_vm;

/// L2's devices, between the host's and the relay.
mod devices;

/// By which way an interrupt comes.
mod ways;

/// L2's serial port.
mod serial;

/// L2's IO-APIC.
mod io_apic;

/// The host's IO-APIC.
mod host_io_apic;

/// The end of L2, and of the run.
mod end;

pub(crate) use events::synic_hint;
pub(crate) use host_tables::AmlVm;
pub(crate) use run::run;
pub(crate) use vm::prepare;
