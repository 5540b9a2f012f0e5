// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one would take in the relay's place.

/// Yardsticks, a table of atomic bytes, a seqlock.
pub mod atomics;

/// Six locks.
pub mod locks;

/// Tables that are replaced whole.
pub mod reclamation;

/// Tables of other people's crates that are made for many readers.
pub mod read_mostly;

/// Other relays' structures.
pub mod peers;
