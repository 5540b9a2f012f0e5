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
//! [`router`] holds the rules, and [`Evaluator`] is what they need of an interpreter. There are two
//! (`docs/decisions/0015`): [`interpreter`] is our own, which does what routing tables and link devices
//! need, and for which whatever else AML can be is a [`Fault`] when it is reached, and no sooner.
//! [`ByCrate`] is the crate `aml`, a second witness; it cannot do all tables, and reads wrong registers.
//!
//! # Hostile tables
//!
//! The tables come from the host. Whatever they are, evaluation ends: steps, depth and memory have
//! [limits](interpreter::Limits), every access outside goes through [`Machine`], which may refuse, and
//! nothing panics. That is our own interpreter; the crate's limits are those of whoever runs it, and it
//! panics. So it is run where it can hurt nobody.
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

/// The crate `aml` as an interpreter.
mod by_crate;

/// Absolute names of the namespace.
mod path;

/// What AML reaches outside of itself.
mod machine;

/// Why an evaluation ended without a value.
mod fault;

/// The interpreter.
pub mod interpreter;

/// From a request to the page of answers.
mod serve;

pub use by_crate::ByCrate;
pub use evaluator::{Datum, Evaluator};
pub use fault::Fault;
pub use machine::{Location, Machine, Nothing, Refused, Width};
pub use path::{Path, Segment};
pub use serve::{Served, serve};
