// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD's memory: what the host says there is, accepted, and divided between L1 and L2.
//!
//! ```text
//!  0                                             ram_end - 20 MiB       ram_end - 16 MiB        ram_end
//!  |  L2: aliased into VM 1, read, write, execute |  L1: the VM for AML  |  heap                 |
//! ```
//!
//! Both halves are accepted before anything is put there: an accepted page is zero, and a page that
//! the host takes away afterwards cannot come back silently.
//!
//! Spec: TDVF "TD Hand-Off Block"; TDX-TDP "L2 VM Memory Management".

/// What the host says there is.
pub(crate) mod map;

/// Making it L1's.
pub(crate) mod accept;

/// Giving part of it to L2.
pub(crate) mod alias;

/// What is for the VM that runs AML.
pub(crate) mod aml_vm;

/// L2's part, as L1 reads and writes it.
pub(crate) mod guest;

/// Which of it the host may see.
pub(crate) mod visibility;

/// What L1 shows the host of its own.
pub(crate) mod window;
