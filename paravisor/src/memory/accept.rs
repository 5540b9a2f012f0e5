// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making memory L1's.
//!
//! Pages are accepted by 2 MiB where the host has them that large. A page that says it was accepted
//! before keeps its content: expected of the hand-off blocks and of a guest in RAM, which were added with
//! the image. The host cannot have added another page without changing the TD's measurement.
//!
//! Spec: TDX-ABI "TDG.MEM.PAGE.ACCEPT Leaf".
#![expect(unsafe_code, reason = "accepting a page replaces its content")]

use core::ops::Range;

use tdcall::{
    Instruction,
    tdg::{self, AcceptRangeError, AcceptedRange},
};

/// Accepts `range`.
///
/// # Safety
///
/// Nothing uses the range: its content becomes zero.
pub(crate) unsafe fn range(range: Range<u64>) -> Result<AcceptedRange, AcceptRangeError> {
    // SAFETY: The caller does not use the range.
    unsafe { tdg::accept_range(&Instruction, range.start, range.end) }
}
