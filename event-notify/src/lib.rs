// SPDX-License-Identifier: MIT OR Apache-2.0
//! What rests on a notification by the host, without the hands.
//!
//! A host can promise to interrupt a virtual CPU when something is done that it was asked for. The
//! interrupt is untrusted: it may come at any time, twice, too early or never. So it is a hint to look,
//! and everything here is made to be looked at once too often without harm, and not to be waited for
//! without an end.
//!
//! ```text
//!  SetUp       every CPU has told the host its vector, or none of them relies on it
//!  Callbacks   who looks when it comes; none does after `unregister` has returned
//!  Request     one thing the host was asked for, whose answer lies in memory that the host writes
//! ```
//!
//! The interrupt path ([`Callbacks::notify`], [`Request::look`]) has no lock and no loop without a
//! constant bound.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(loom, allow(missing_docs, reason = "constructors of loom are not constant"))]

#[cfg(test)]
extern crate std;

mod sync;

/// Whether all CPUs are notified.
mod set_up;

/// Who looks when a notification comes.
mod callbacks;

/// Something the host was asked for.
mod request;

pub use callbacks::{Callbacks, Full, InCallback, Registration};
pub use request::{Late, Look, Request};
pub use set_up::{SetUp, Standing};
