// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TD of its own that checks the TDX module from inside, leaf by leaf.
//!
//! It boots in the paravisor's place and asks the module what it should refuse and what it should
//! do. Each check is one line on the console, `ok   name` or `FAIL name: got … wanted …`; the last
//! line is `probe: N passed, M failed`.
//!
//! The wanted values are numbers written by hand from the documents, not constants of `tdcall`:
//! the emulator shares those, and a wrong constant would agree with itself. Nothing is checked that
//! the documents leave open, so the same image should pass on hardware.
#![cfg_attr(target_os = "none", no_std, no_main)]

/// From the reset vector to Rust.
#[cfg(target_os = "none")]
mod boot;

/// One line for each check, and the sum.
#[cfg(target_os = "none")]
mod tally;

/// The host's serial port, and the end of the run.
#[cfg(target_os = "none")]
mod console;

/// Exceptions that are expected, and interrupts.
#[cfg(target_os = "none")]
mod trap;

/// `TDCALL` with every register in sight.
#[cfg(target_os = "none")]
mod door;

/// The TD's memory that is used for checks.
#[cfg(target_os = "none")]
mod memory;

/// A small L2 VM.
#[cfg(target_os = "none")]
mod l2;

/// What is checked.
#[cfg(target_os = "none")]
mod checks;

#[cfg(not(target_os = "none"))]
fn main() {}
