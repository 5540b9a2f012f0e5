// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings: how packets travel, one ring a direction.
//!
//! A ring is a control page and, behind it, pages of data that packets fill round and round:
//!
//! | offset | word of the control page | written by |
//! |---|---|---|
//! | 0 | *in*: where the next packet will be written | writer |
//! | 4 | *out*: where the next packet will be read | reader |
//! | 8 | interrupt mask: not 0 asks the writer for no signals | reader |
//! | 12 | pending send size: bytes that the writer waits for, or 0 | writer |
//! | 64 | feature bits; bit 0: pending send size is understood | both |
//!
//! Offsets are multiples of 8 below the size of the data. *in* = *out* is an empty ring, so eight bytes
//! always stay free. A packet is a [`Descriptor`](crate::ring::Descriptor), further headers, the payload padded to 8, and a
//! footer of 8 bytes.
//!
//! # What the other side can do
//!
//! - **`OWN-INDEX`**: each side keeps its own index in private memory and never reads it back.
//! - **`FORWARD-ONLY`**: the other's index is read once per look and must be a multiple of 8, inside the
//!   data, and not behind where it was: a reader cannot take back what it consumed, nor consume what
//!   was not written; a writer cannot unwrite. What breaks this ends the ring with a
//!   [`RingFault`](crate::ring::RingFault).
//! - **`DESCRIPTOR-ONCE`**: a descriptor is copied out once and checked against what is there; then the
//!   payload is copied out once, straight into the caller's buffer, by a cursor that only goes forward.
//!   What the host changes meanwhile changes nothing that was checked.
//!
//! # Signals
//!
//! A side signals the other only when it may be asleep. Each rule is one side of a store-load pair
//! with a full fence between; the other side does the same the other way round, so at least one of
//! the two sees what the other did.
//!
//! - *Something to read.* The writer stores *in*, then loads mask and *out*; it signals if the mask is
//!   clear and *out* is where the ring was empty. The reader clears the mask or stores *out*, then loads
//!   *in*, and sleeps only if there is nothing.
//! - *Room to write.* The writer stores the pending send size, then loads *out*, and sleeps only if there
//!   is still no room. The reader stores *out*, then loads the pending send size; it signals if that
//!   much room was not there before and is now.
//!
//! # Orderings
//!
//! - *in* is stored with Release and loaded with Acquire: a packet's bytes are there before the index.
//! - *out* is stored with Release and loaded with Acquire: a packet's bytes were copied before the room
//!   is used again.
//! - Between the store and the load of a signalling rule stands a SeqCst fence, on both sides. The
//!   pending send size is loaded with Acquire before *in* is looked at again, which pairs with the
//!   Release of its store: the writer's last *in* is then seen.
//!
//! `tests/signals.rs` explores both rules with loom, and shows that they fail without the fence.
//!
//! Spec: VMBUS "Ring buffer".

/// The control page, and the indices in it.
mod control;

/// Headers of packets.
pub mod packet;

/// Puts packets in.
pub mod writer;

/// Takes packets out.
pub mod reader;

pub use control::{Notify, RingFault};
pub use packet::{Descriptor, PacketKind};
pub use reader::{Incoming, ReadError, Reader, Waiting};
pub use writer::{Outgoing, WriteError, Writer};

/// Bytes of a packet's footer.
const FOOTER: u32 = 8;

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
