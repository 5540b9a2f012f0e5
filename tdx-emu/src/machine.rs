// SPDX-License-Identifier: MIT OR Apache-2.0
//! L0's own bare metal, in the order in which it comes to life.
//!
//! # Invariants
//!
//! *IF is 0* on every CPU, everywhere but inside `interrupt::window` and `interrupt::wait`.
//! Handlers run in those two only. A plain spin lock is therefore safe as long as it is not held
//! across them.
//!
//! *FS, GS, TR and LDTR are the guest's.* #VMEXIT does not restore them, so L0 has no per-CPU
//! segment, no TSS and no IST: a CPU knows itself by its stack.

/// Entry from QEMU, and what QEMU handed over.
#[cfg(target_os = "none")]
pub(crate) mod boot;

/// What the PVH start info says.
mod start_info;

/// From reset state to 64-bit mode, for every CPU.
#[cfg(target_os = "none")]
mod long_mode;

/// Control registers of one CPU.
#[cfg(target_os = "none")]
mod features;

/// COM1, debug console, exit, panic.
#[cfg(target_os = "none")]
pub(crate) mod console;

/// Text to COM1 and the debug console.
#[cfg(target_os = "none")]
mod port_writer;

/// Bytes collected into clean console lines.
pub(crate) mod line_buffer;

/// Physical pages and the heap.
#[cfg(target_os = "none")]
pub(crate) mod memory;

/// Which pages are free.
mod page_bitmap;

/// Pages as tables that hardware walks.
pub(crate) mod tables;

/// Holes that catch a stack overflow.
#[cfg(target_os = "none")]
mod guard_pages;

/// Descriptor table, handlers, interrupt windows.
#[cfg(target_os = "none")]
pub(crate) mod interrupt;

/// The local APIC.
#[cfg(target_os = "none")]
pub(crate) mod lapic;

/// Who wants this CPU's timer when.
#[cfg(target_os = "none")]
pub(crate) mod deadlines;

/// Nanoseconds since boot.
#[cfg(target_os = "none")]
pub(crate) mod clock;

/// QEMU's configuration device.
#[cfg(target_os = "none")]
pub(crate) mod fw_cfg;

/// The CPUs, their stacks and numbers.
#[cfg(target_os = "none")]
pub(crate) mod cpus;

/// `selftest=1`: the layer checks itself.
#[cfg(target_os = "none")]
pub(crate) mod selftest;
