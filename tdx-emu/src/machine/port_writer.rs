// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text to a port, in bursts of the UART's FIFO depth: a port access is expensive under TCG.
//!
//! Spec: "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs", "Registers".
#![expect(unsafe_code, reason = "port I/O")]

use core::fmt;

use x86_64::instructions::port::Port;

const COM1: u16 = 0x3f8;
const INTERRUPT_ENABLE: u16 = COM1 + 1;
const FIFO_CONTROL: u16 = COM1 + 2;
const LINE_CONTROL: u16 = COM1 + 3;
const MODEM_CONTROL: u16 = COM1 + 4;
const LINE_STATUS: u16 = COM1 + 5;
const LINE_STATUS_TRANSMITTER_EMPTY: u8 = 1 << 5;

const DEBUG_CONSOLE: u16 = 0xe9;

const FIFO_DEPTH: usize = 16;

/// Which device is behind the port.
#[derive(Debug)]
enum Device {
    /// Takes [`FIFO_DEPTH`] bytes at a time, when it is ready.
    Uart,
    /// Takes everything.
    DebugConsole,
}

/// A port, and text on its way there.
#[derive(Debug)]
pub(super) struct PortWriter {
    device: Device,
    bytes: [u8; FIFO_DEPTH],
    length: usize,
}

impl PortWriter {
    /// Makes a writer to COM1.
    pub(super) const fn com1() -> Self {
        Self { device: Device::Uart, bytes: [0; FIFO_DEPTH], length: 0 }
    }

    /// Makes a writer to the debug console.
    pub(super) const fn debug_console() -> Self {
        Self { device: Device::DebugConsole, bytes: [0; FIFO_DEPTH], length: 0 }
    }

    /// Writes out what is still on its way.
    pub(super) fn flush(&mut self) {
        let port = match self.device {
            Device::Uart => {
                wait_for_com1();
                COM1
            }
            Device::DebugConsole => DEBUG_CONSOLE,
        };
        // SAFETY: both devices only pass bytes on to the outside.
        unsafe { cpu::write_string(port, &self.bytes[..self.length]) };
        self.length = 0;
    }
}

impl fmt::Write for PortWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            self.bytes[self.length] = byte;
            self.length += 1;
            if self.length == FIFO_DEPTH {
                self.flush();
            }
        }
        Ok(())
    }
}

/// Sets COM1 to 115200 8N1, FIFOs on, no interrupts.
pub(super) fn initialize_com1() {
    for (port, value) in [
        (INTERRUPT_ENABLE, 0_u8),
        (LINE_CONTROL, 0x80), // the next two ports are the divisor
        (COM1, 1),
        (COM1 + 1, 0),
        (LINE_CONTROL, 0x03),
        (FIFO_CONTROL, 0x07),
        (MODEM_CONTROL, 0x03),
    ] {
        // SAFETY: these registers set how the UART sends, and switch its interrupts off.
        unsafe { Port::new(port).write(value) };
    }
}

/// Waits until the transmit FIFO is empty; the host's side of the line may be slow.
fn wait_for_com1() {
    loop {
        // SAFETY: reading the line status clears error bits that nobody uses.
        let status: u8 = unsafe { Port::new(LINE_STATUS).read() };
        if status & LINE_STATUS_TRANSMITTER_EMPTY != 0 {
            return;
        }
        core::hint::spin_loop();
    }
}
