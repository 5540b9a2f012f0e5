// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's serial port: the model, and the way of its bytes to the host's second serial port.
//!
//! The registers are L1's own. Bytes that leave are collected to a line, so that the host is only
//! called for what there is to print and lines of L2's CPUs come out whole; a line that L2 never
//! ends goes out with the end of the run.
//!
//! The port's interrupt is pin 4 of the IO-APIC.

use paravisor::{io_apic::Line, uart::Uart};
use spin::Mutex;
use tdcall::{
    Instruction,
    tdvmcall::{self, IoSize},
};

use super::io_apic;
use crate::interrupt::counters::HOST_REFUSALS;

const HOST_PORT: u16 = 0x2f8;
const PIN: usize = 4;
/// Longer lines go out in parts.
const CAPACITY: usize = 256;

static PORT: Mutex<Port> = Mutex::new(Port {
    uart: Uart::new(),
    line: [0; CAPACITY],
    length: 0,
    line_of_interrupt: Line::Low,
});

struct Port {
    uart: Uart,
    line: [u8; CAPACITY],
    length: usize,
    line_of_interrupt: Line,
}

/// L2 reads a register.
pub(super) fn read(register: u8) -> u8 {
    let mut port = PORT.lock();
    let value = port.uart.read(register);
    port.tell();
    value
}

/// L2 writes a register.
pub(super) fn write(register: u8, value: u8) {
    let mut port = PORT.lock();
    if let Some(byte) = port.uart.write(register, value) {
        port.put(byte);
    }
    port.tell();
}

/// Sends what is left of a line.
pub(super) fn flush() {
    PORT.lock().flush();
}

impl Port {
    fn put(&mut self, byte: u8) {
        if let Some(place) = self.line.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
        if byte == b'\n' || self.length == CAPACITY {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for byte in self.line.get(..self.length).unwrap_or_default() {
            let sent = tdvmcall::io_write(&Instruction, HOST_PORT, IoSize::Byte, (*byte).into());
            if sent.is_err() {
                HOST_REFUSALS.add();
            }
        }
        self.length = 0;
    }

    /// Sets the line of the interrupt if it has changed.
    fn tell(&mut self) {
        let line = if self.uart.interrupts() { Line::High } else { Line::Low };
        if line != self.line_of_interrupt {
            self.line_of_interrupt = line;
            io_apic::set_line(PIN, line);
        }
    }
}
