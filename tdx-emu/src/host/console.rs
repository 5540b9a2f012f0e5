// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD's consoles: L1 prints to COM1, and to COM2 what its L2 prints.

use spin::Mutex;

use super::{td::Td, uart::Uart};
use crate::{
    machine::{
        clock,
        console::{self, Who},
        line_buffer::LineBuffer,
    },
    observe::{self, report},
};

/// A serial port and the line that is being printed.
#[derive(Debug)]
pub(crate) struct Console {
    first_port: u16,
    who: Who,
    state: Mutex<(Uart, LineBuffer)>,
}

impl Console {
    /// The serial port at `first_port`, on which `who` prints.
    pub(crate) fn new(first_port: u16, who: Who) -> Self {
        Self { first_port, who, state: Mutex::new((Uart::default(), LineBuffer::new())) }
    }

    /// The register that a port is, if it is one.
    pub(crate) fn register(&self, port: u16) -> Option<u8> {
        u8::try_from(port.checked_sub(self.first_port)?).ok().filter(|register| *register < 8)
    }

    /// Reads a register.
    pub(crate) fn read(&self, register: u8) -> u8 {
        self.state.lock().0.read(register)
    }

    /// Writes a register.
    pub(crate) fn write(&self, register: u8, value: u8) {
        let (uart, line) = &mut *self.state.lock();
        if let Some(byte) = uart.write(register, value) {
            line.put(byte, |text| self.print(text));
        }
    }

    /// Prints a line that was not ended.
    pub(crate) fn finish(&self) {
        let (_, line) = &mut *self.state.lock();
        line.put(b'\n', |text| {
            if !text.is_empty() {
                self.print(text);
            }
        });
    }

    /// What L2 found out goes into the report too.
    fn print(&self, text: &str) {
        console::line(self.who, text);
        if self.who == Who::L2 && text.starts_with("result ") {
            let ticks = observe::ticks_since_first_entry().unwrap_or(0);
            let relayed = observe::relayed_lately(text);
            let mappings = Td::get().map_or(0, |td| observe::mappings(td.vcpus.len()));
            let (microseconds, told) = (ticks / clock::mhz(), observe::lines_told());
            let now = report::Moment { microseconds, mappings, told };
            report::guest(&mut console::report, text, now, relayed);
        }
    }
}
