// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the interrupt pins of PCI devices lead, as far as L1 itself has to do with it.
//!
//! Only ACPI knows which input of which I/O APIC a pin is wired to, and how that input triggers. Half
//! of it are fixed tables, which this crate reads; the other half is AML, which has to be run. It is
//! run elsewhere (`aml-routes`), by somebody whom L1 does not trust: questions go out, an answer comes
//! back, and [`Answer::check`] makes of its bytes what L1 may believe.
//!
//! ```text
//!   fw_cfg::FwCfg ──▶ loader::Loaded ──▶ tables::Tables ──▶ DSDT, SSDTs
//!                                               └──▶ madt::Madt ──▶ inputs that exist, ISA interrupts
//!   PCI functions ──▶ Question ──▶ AML ──▶ answer page ──▶ Answer::check ──▶ Route or Unknown
//! ```
//!
//! Nothing is guessed: what the tables do not say is [`Unknown`], with the reason.
//!
//! The crate allocates nothing, touches no hardware, and nothing that it is given makes it panic.
//!
//! Spec: ACPI "_PRT (PCI Routing Table)"; "Multiple APIC Description Table (MADT)".
#![no_std]
#![forbid(unsafe_code)]

/// What is asked about one pin.
mod question;

/// Where a pin leads.
mod route;

/// Why it is not known where a pin leads.
mod unknown;

/// What whoever answers is given to read.
pub mod request;

/// Where it is run.
pub mod vm;

/// The answers' bytes, and what is checked of them.
mod answer;

/// Where a host like QEMU has its files.
pub mod fw_cfg;

/// The host's files, put together in memory of our own.
pub mod loader;

/// The tables in that memory.
pub mod tables;

/// The table that lists the I/O APICs and says which ISA interrupts are wired otherwise.
pub mod madt;

pub use answer::{Answer, Bad, Entry, Header, MAX_ROUTES, encode, encode_failure};
pub use question::{MAX_DEPTH, Pin, Question};
pub use route::{Polarity, Route, Source, Trigger};
pub use unknown::Unknown;
