// SPDX-License-Identifier: MIT OR Apache-2.0
//! SynIC and VMBus for a client whose host is hostile.
//!
//! VMBus is how a Hyper-V-like host and its guest talk: *messages* of at most 240 bytes for control,
//! and for data *channels*, each with two rings in memory that both sides see. The host offers channels,
//! the client describes memory for the rings and opens them. The synthetic interrupt controller
//! (SynIC) carries messages and the signals of channels to a CPU.
//!
//! ```text
//!   host                                      │ border of trust │             this crate
//!   message page   slot of a SINT ────────────┼─▶ synic::MessagePage::take ─▶ one private copy
//!                                             │        ├─▶ client::Client::handle ─▶ Event
//!                                             │        └─▶ proxy_interrupt::parse ─▶ VectorSet
//!   event flags    bits of a SINT ────────────┼─▶ synic::EventFlags::take ─▶ Client::signalled
//!   rings          packets, both ways ────────┼─▶ ring::Reader, ring::Writer ── transaction
//!   HvCallPostMessage ◀───────────────────────┼── message::Outgoing ◀── commands of the Client
//!   HvCallSignalEvent, monitor page ◀─────────┼── client::Signal, monitor::MonitorPage
//! ```
//!
//! The crate is sans I/O: bytes in, bytes out. It makes no call, reads no MSR, maps no page, allocates
//! nothing. What touches shared memory goes through [`SharedMemory`], which others implement.
//!
//! # Trust
//!
//! Everything left of the border may be wrong at any moment, including memory between two reads. So:
//!
//! - **`COPIED-ONCE`**: a message is copied out of shared memory whole before any of it is looked at; a
//!   field of shared memory is read once into a local, and the local is checked.
//! - **`ENDS-AT-WORST`**: what is wrong ends a channel or the connection, and no more. It comes back as
//!   an error that says what was wrong; nothing panics, whatever the bytes.
//! - **`BOUNDED`**: no loop runs by the host's leave. Tables have a fixed size, and a full one refuses.
//! - **`OWN-NUMBERS`**: what the client numbers itself (memory, opens) is compared with its own record;
//!   what the host numbers (channels) is looked up, never used as an index.
//!
//! What a host can still do: refuse, delay, be silent, read and change what lies in shared memory.
//! Secrets do not belong there, and waiting needs somebody's clock.
//!
//! Spec: TLFS "Inter-Partition Communication", "Synthetic Interrupt Controller"; VMBUS.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod sync;

/// Memory that the host changes at any time.
pub mod shared_memory;

/// The synthetic interrupt controller.
pub mod synic;

/// Interrupts that the host asks L1 to pass on.
pub mod proxy_interrupt;

/// Names of interfaces and instances.
mod guid;

/// Versions and features.
pub mod version;

/// Messages, byte by byte.
pub mod message;

/// What can go wrong, and whose fault it is.
pub mod fault;

/// The state machine.
pub mod client;

/// Packets: a ring a direction.
pub mod ring;

/// What a completion belongs to.
pub mod transaction;

/// Signals without a call.
pub mod monitor;

pub use client::{Client, Config, Event};
pub use fault::{Ends, HostFault, Refused};
pub use guid::Guid;
pub use shared_memory::{PAGE_SIZE, SharedMemory};
pub use version::{Features, Version};
