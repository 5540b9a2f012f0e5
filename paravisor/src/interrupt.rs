// SPDX-License-Identifier: MIT OR Apache-2.0
//! L1's interrupts and exceptions.

/// The one map of L1's vectors.
pub(crate) mod vectors;

/// The reserved vectors: a stub each, nothing but the relay.
mod relay;

/// One interrupt gate per vector.
pub(crate) mod table;

/// Exceptions' vectors that the host has posted.
mod posted_exception;

/// Every vector that is not the relay's.
mod dispatch;

/// #VE: accidents, since L1 asks the host by TDVMCALL.
mod virtualization;

/// The interrupt by which the host says that it has finished something.
pub(crate) mod event_notify;

/// The interrupt by which a host of Hyper-V's kind says that it has left something.
pub(crate) mod synic;

/// Interrupts by lines of the host's devices.
pub(crate) mod lines;

/// What was counted in handlers.
pub(crate) mod counters;
