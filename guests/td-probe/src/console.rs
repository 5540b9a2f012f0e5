// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's serial port, and the end of the run.
//!
//! Spec: GHCI "TDG.VP.VMCALL<Instruction.IO>".

use core::{
    fmt::{self, Write},
    panic::PanicInfo,
};

use tdcall::{
    Instruction,
    tdvmcall::{self, IoSize},
};

const SERIAL: u16 = 0x3f8;
const END_OF_RUN: u16 = 0xf4;

/// The port. What the host refuses is lost; there is nobody to tell.
struct Port;

/// Writes a line.
pub(crate) fn line(words: fmt::Arguments<'_>) {
    // Writing to the port cannot fail.
    let _ = writeln!(Port, "{words}");
}

/// Ends the run: 0 is success.
pub(crate) fn end(code: u32) -> ! {
    loop {
        // A host that does not end the run is asked again.
        let _ = tdvmcall::io_write(&Instruction, END_OF_RUN, IoSize::Byte, code);
    }
}

/// Ends the run because the probe cannot go on.
pub(crate) fn give_up(why: fmt::Arguments<'_>) -> ! {
    line(format_args!("probe: gave up: {why}"));
    end(1)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    give_up(format_args!("{info}"))
}

impl Write for Port {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let _ = tdvmcall::io_write(&Instruction, SERIAL, IoSize::Byte, byte.into());
        }
        Ok(())
    }
}
