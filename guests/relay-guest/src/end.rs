// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of the run: one byte to port 0xf4, then nothing.

use x86_64::instructions::{hlt, interrupts};

use crate::port;

/// The port that ends the run.
const EXIT: u16 = 0xf4;

/// Ends the run with success.
pub(crate) fn success() -> ! {
    stop(0)
}

/// Ends the run with failure.
pub(crate) fn failure() -> ! {
    stop(1)
}

fn stop(status: u8) -> ! {
    port::write8(EXIT, status);
    loop {
        interrupts::disable();
        hlt();
    }
}
