// SPDX-License-Identifier: MIT OR Apache-2.0
//! What L2 exits mean, as far as registers alone tell.

/// Why L2 left: the one table of what L1 answers.
pub mod reason;

/// What IN leaves in RAX.
pub mod io;

/// What L2 may write to CR0 and CR4, and what it reads back.
pub mod control_register;

/// Events that L1 gives to L2 at its next entry.
pub mod event;
