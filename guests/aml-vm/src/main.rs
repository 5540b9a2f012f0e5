// SPDX-License-Identifier: MIT OR Apache-2.0
//! The L2 guest that runs the AML of the host's tables.
//!
//! It has what `acpi_routes::vm` says, reads a request, answers it and halts. It has no secret and no device:
//! what AML does to it ends with it. What AML reaches outside goes by ports, and L1 decides of each access.
#![cfg_attr(target_os = "none", no_std, no_main)]

/// Entry, and the end.
#[cfg(target_os = "none")]
mod start;

/// Memory for values.
#[cfg(target_os = "none")]
mod heap;

/// IN and OUT, which L1 may refuse.
#[cfg(target_os = "none")]
mod port;

/// What AML reaches of the machine, by ports.
#[cfg(any(target_os = "none", test))]
mod reach;

#[cfg(not(target_os = "none"))]
fn main() {}
