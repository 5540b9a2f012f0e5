// SPDX-License-Identifier: MIT OR Apache-2.0
//! The relay at the size of the largest machine: the same code with 1,024 CPUs, all on one thread and
//! in random order, then with real threads.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

/// A drain that tells what it did.
#[path = "../told/mod.rs"]
mod told;

mod machine;

mod lines;

mod random;

mod threads;
