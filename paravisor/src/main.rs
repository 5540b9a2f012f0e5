// SPDX-License-Identifier: MIT OR Apache-2.0
//! The L1 paravisor: the first VM inside a Trust Domain.
//!
//! This binary is the hands: boot, memory, interrupts, TDCALLs, and the loop around L2. What can be
//! decided without hardware is in the library of the same name.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

/// From the reset vector to Rust.
#[cfg(target_os = "none")]
mod boot;

/// The order in which L1 comes up.
#[cfg(target_os = "none")]
mod start;

/// The virtual CPUs of the TD.
#[cfg(target_os = "none")]
mod cpus;

/// What came with the image.
#[cfg(target_os = "none")]
mod payload;

/// The TD's memory.
#[cfg(target_os = "none")]
mod memory;

/// L1's heap.
#[cfg(target_os = "none")]
mod heap;

/// The final page tables.
#[cfg(target_os = "none")]
mod paging;

/// Segments and task state.
#[cfg(target_os = "none")]
mod descriptors;

/// L1's interrupts and exceptions.
#[cfg(target_os = "none")]
mod interrupt;

/// L1's own APIC.
#[cfg(target_os = "none")]
mod apic;

/// Calls of a host of Hyper-V's kind.
#[cfg(target_os = "none")]
mod hypercall;

/// The virtual machine that L1 runs.
#[cfg(target_os = "none")]
mod l2;

/// L1's console and log.
#[cfg(target_os = "none")]
mod console;

/// The end of L1.
#[cfg(target_os = "none")]
mod epitaph;

#[cfg(not(target_os = "none"))]
fn main() {}
