// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outside end of QEMU's `ivshmem-doorbell` device: rings interrupts at a guest on command.
//!
//! QEMU connects to a UNIX socket and is told, by the server's half of the ivshmem protocol, its
//! peer number (0), the shared memory and one eventfd per MSI-X vector. Whoever signals such an
//! eventfd makes the device send that vector's message. The guest leaves commands in the shared
//! memory ([`layout`]) and this peer (number 1) carries them out, counting every ring, so that a
//! test can compare what left here with what a guest's handlers saw.
//!
//! Spec: IVSHMEM "Device Specification for Inter-VM shared memory device".
#![forbid(unsafe_code)]

/// Where everything lies in the shared memory, and the commands in it.
pub mod layout;

/// The shared memory as this side sees it.
mod memory;

/// Messages that introduce the device to its memory and eventfds.
mod handshake;

/// One eventfd per vector, and the count of its rings.
mod bells;

/// Reads a command and carries it out.
mod command;

/// The thread that serves one QEMU.
mod peer;

pub use peer::{Peer, Summary};
