// SPDX-License-Identifier: MIT OR Apache-2.0
//! A payload that is a Linux kernel, started by its 64-bit entry.
//!
//! The kernel's file and the initial RAM disk lie in L2's memory, where the host has put them before
//! the TD ran. L1 moves the kernel proper to where it wants to be, and leaves the rest.
//!
//! Spec: LINUX "The Real-Mode Kernel Header", "64-bit Boot Protocol".

/// The header of a kernel's file.
pub mod setup_header;

/// What the kernel is told.
pub mod boot_params;
