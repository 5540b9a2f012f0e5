// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes on, one line a step, on standard error: standard output belongs to results.

use std::time::Instant;

use crate::Result;

/// Says something worth knowing.
pub(crate) fn say(step: &str, what: &str) {
    eprintln!("{step:>8}  {what}");
}

/// Does a step, saying what it is before and how long it took after.
pub(crate) fn step<T>(step: &str, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprint!("{step:>8}  {what} ... ");
    let start = Instant::now();
    let result = work();
    match &result {
        Ok(_) => eprintln!("{:.1} s", start.elapsed().as_secs_f32()),
        Err(_) => eprintln!("failed"),
    }
    result
}
