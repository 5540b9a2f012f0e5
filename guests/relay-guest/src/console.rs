// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console: whole lines to the serial port COM1.
//!
//! The port is not asked whether it is ready: neither QEMU's nor the paravisor's ever is not, and
//! each question would cost an exit.

use core::fmt::{self, Write};

use crate::port;

/// Transmit register of COM1.
const COM1: u16 = 0x3f8;

/// Prints one line.
pub(crate) fn print_line(text: fmt::Arguments<'_>) {
    // The serial port takes everything.
    let _ = Serial.write_fmt(text);
    port::write8(COM1, b'\n');
}

/// The serial port as a place to write to.
struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| port::write8(COM1, byte));
        Ok(())
    }
}

/// Prints one line, formatted.
macro_rules! line {
    ($($argument:tt)*) => {
        $crate::console::print_line(format_args!($($argument)*))
    };
}
pub(crate) use line;
