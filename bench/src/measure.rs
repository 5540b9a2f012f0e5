// SPDX-License-Identifier: MIT OR Apache-2.0
//! The measurements.

/// How much is measured.
pub mod effort;

/// Two threads, of which one disturbs the other.
pub mod pair;

/// What a post costs among many.
pub mod cost;

/// What single posts cost.
pub mod tail;

/// What a drain costs.
pub mod drain;

/// What a change of a mapping costs.
pub mod remap;

/// What a cache line of another CPU costs.
pub mod line;
