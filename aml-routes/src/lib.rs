// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the interrupt pins of PCI devices lead, by running the AML that says so.
//!
//! ```text
//!   DSDT, SSDTs ──▶ interpreter::Interpreter ──▶ Evaluator ──▶ router::answer ──▶ Route or Unknown
//!                        │   ▲                                      ▲
//!                        ▼   │                                      │
//!                       Machine: ports, configuration space      Question
//! ```
//!
//! [`router`] holds the rules, [`Evaluator`] is what they need of an interpreter, and [`interpreter`] is
//! the one there is (`docs/decisions/0015`). It does what routing tables and link devices need; whatever
//! else AML can be is a [`Fault`] when it is reached, and no sooner.
//!
//! # Hostile tables
//!
//! The tables come from the host. Whatever they are, evaluation ends: steps, depth and memory have
//! [limits](interpreter::Limits), every access outside goes through [`Machine`], which may refuse, and
//! nothing panics. Who runs this nevertheless runs it where it can hurt nobody.
//!
//! Spec: ACPI "ACPI Machine Language (AML) Specification"; "_PRT (PCI Routing Table)"; "_PIC Method".
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

/// The rules by which a pin is followed to an input.
pub mod router;

/// Link devices: inputs that can be chosen.
mod link;

/// The interrupts in a resource template.
mod resource;

/// What the rules need of an interpreter.
mod evaluator;

/// Absolute names of the namespace.
mod path;

/// What AML reaches outside of itself.
mod machine;

/// Why an evaluation ended without a value.
mod fault;

/// The interpreter.
pub mod interpreter;

pub use evaluator::{Datum, Evaluator};
pub use fault::Fault;
pub use machine::{Location, Machine, Nothing, Refused, Width};
pub use path::{Path, Segment};
