// SPDX-License-Identifier: MIT OR Apache-2.0
//! The relay beside what one would take in its place, measured in one run on one machine.
//!
//! Only ratios within one run mean anything: the machine is shared and its clock is coarse. So all
//! ways of relaying take turns, threads are pinned, what interference can be seen is thrown away, and
//! what is left is summed up by low quantiles.
//!
//! ```text
//!  variant   what a way of relaying is ── alternatives, ours
//!     │
//!  subject   made measurable           ── drains: the same for draining
//!     │
//!  measure   cost, tail, drain, control ── instructions: by callgrind
//!     │
//!  results   one value ──▶ JSON, table, page with plots ── goals
//! ```

/// What every way of relaying has in common.
pub mod variant;

/// The relay itself.
pub mod ours;

pub mod alternatives;

/// Variants that can be measured.
pub mod subject;

/// Ways of draining.
pub mod drains;

/// Time.
pub mod ticks;

/// What is made of many measurements.
pub mod statistics;

/// The machine.
pub mod machine;

pub mod measure;

/// Instructions.
pub mod instructions;

/// What a run found out.
pub mod results;

/// A whole run.
pub mod session;

/// Goals.
pub mod goals;

/// Invented figures.
#[cfg(test)]
mod example;

/// For a terminal.
pub mod terminal;

/// Plots.
pub mod svg;

/// For a browser.
pub mod page;
