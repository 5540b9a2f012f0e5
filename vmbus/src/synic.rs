// SPDX-License-Identifier: MIT OR Apache-2.0
//! The synthetic interrupt controller: how the host reaches one CPU.
//!
//! Each CPU has sixteen sources (SINTs), a *message page* with one slot of 256 bytes for each, and an
//! *event-flags page* with 2048 bits for each. The host fills a slot or sets a bit, then raises the
//! vector of the SINT. Both pages are shared memory, so the host can do so at any time and can lie in
//! every byte; nothing here trusts more than that a copy, once made, stays.
//!
//! Not done here: reading and writing the MSRs (in a TD by TDVMCALL), sharing the pages, the vector.
//!
//! Spec: TLFS "Synthetic Interrupt Controller".

/// MSRs and their contents.
pub mod msr;

/// What to write on a CPU to turn its controller on, and off again.
pub mod plan;

/// Messages, and the rule of the end of message.
pub mod message;

/// Event flags.
pub mod event_flags;

pub use event_flags::EventFlags;
pub use message::{Eom, Message, MessageFault, MessagePage, MessageType, Taken};
pub use msr::{Msr, PageMsr, Scontrol, Sint, SintIndex};
pub use plan::{MsrUpdate, Plan};
