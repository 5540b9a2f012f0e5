// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one door to the project: whatever is built, run or checked goes through here.
//!
//! It provides what a machine lacks and says so, never asks a question, and gives every program
//! that it starts a time limit. The end-to-end tests use it as a library.
#![forbid(unsafe_code)]

/// The commands of `cargo xtask`.
pub mod command;

/// Why something did not work, and what to do about it.
mod failure;

/// Where things are.
mod paths;

/// Programs that are started, with a time limit.
mod tool;

/// What went on, for the person who waits.
mod progress;

/// The Rust compiler in use.
mod toolchain;

/// apt with a state of its own.
mod apt;

/// The core library of the bare-metal target.
mod sysroot;

/// Bare-metal builds.
mod bare_metal;

/// The three programs of a run.
pub mod builds;

/// Kernels before they are packed.
mod unpack;

/// The guest that an image carries.
pub mod guest;

/// The TD's image.
pub mod image;

/// Packages of Debian that guests are made of, cached.
mod debian_package;

/// Kernels as Debian ships them.
pub mod debian_kernel;

/// Xen as Debian ships it.
pub mod xen;

/// What a Linux guest finds at its start: busybox and the test's own `/init`.
pub mod initramfs;

/// The disk of a Linux guest.
pub mod disk;

/// Programs that are installed where they are missing.
mod install;

/// The machine emulator.
pub mod qemu;

/// ACPI tables that a TD is given in place of the machine's.
pub mod host_tables;

/// One run: a machine, what it printed, how it ended.
pub mod machine;

/// A Linux kernel directly on QEMU, to compare with.
pub mod direct_boot;

/// What the emulator reports of a run.
pub mod report;

/// Runs with a hostile host.
pub mod hostile;

/// Runs with hostile tables.
pub mod hostile_tables;

/// What the guest counted itself.
pub mod guest_counts;

/// A run's figures for a person.
mod table;

/// A run's events for a trace viewer.
mod trace;

/// The numbers that the relay must keep.
mod gates;

/// What gdb must be told.
mod debugger;

/// The rules for source files that no other tool checks.
mod rules;

pub use failure::{Failure, Result};
