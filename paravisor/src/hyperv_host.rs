// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host of Hyper-V's kind, as L1 meets it: how it is told from others, what is asked of it, and what
//! it may say.
//!
//! Such a host reaches L1 in two more ways than by posting: messages and event flags of a synthetic
//! interrupt controller (SynIC). By a message it can ask for interrupts of L2, which is the way of a
//! device's interrupt that is not posted.
//!
//! Who the host is decides by which way it is asked, and nothing else: what it says is believed no more
//! for having said it. Here is what needs no hardware; the binary makes the calls.
//!
//! Spec: TLFS; VMBUS.

/// Who the host is.
pub mod identity;

/// What is asked of it.
pub mod hypercall;

/// Interrupts that it asks for.
pub mod proxy;

/// VMBus.
pub mod bus;

/// A channel that answers.
pub mod echo;

/// Counts by vector.
pub mod tally;
