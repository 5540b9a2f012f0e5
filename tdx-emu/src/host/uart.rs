// SPDX-License-Identifier: MIT OR Apache-2.0
//! A serial port as the TD sees it: always ready to send, never with anything to receive but what
//! it sent itself in loopback mode, which is how drivers probe it. No interrupts.
//!
//! Spec: "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs", "Registers".

const DATA: u8 = 0;
const INTERRUPT_ENABLE: u8 = 1;
const INTERRUPT_IDENTIFICATION: u8 = 2;
const LINE_CONTROL: u8 = 3;
const MODEM_CONTROL: u8 = 4;
const LINE_STATUS: u8 = 5;
const MODEM_STATUS: u8 = 6;
const SCRATCH: u8 = 7;

const DIVISOR_ACCESS: u8 = 1 << 7;
const LOOPBACK: u8 = 1 << 4;
const FIFO_ENABLE: u8 = 1 << 0;
const NO_INTERRUPT: u8 = 1 << 0;
const DATA_READY: u8 = 1 << 0;
const TRANSMITTER_EMPTY: u8 = 0b11 << 5;

/// Clear to send, data set ready, carrier detected.
const CONNECTED: u8 = 0b1011 << 4;

/// The registers of a serial port.
#[derive(Debug, Default)]
pub(crate) struct Uart {
    divisor: [u8; 2],
    interrupt_enable: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    looped_back: Option<u8>,
}

impl Uart {
    /// Reads a register.
    pub(crate) fn read(&mut self, register: u8) -> u8 {
        match register {
            DATA | INTERRUPT_ENABLE if self.line_control & DIVISOR_ACCESS != 0 => {
                self.divisor[usize::from(register)]
            }
            DATA => self.looped_back.take().unwrap_or(0),
            INTERRUPT_ENABLE => self.interrupt_enable,
            INTERRUPT_IDENTIFICATION if self.fifo_control & FIFO_ENABLE != 0 => 0xc0 | NO_INTERRUPT,
            INTERRUPT_IDENTIFICATION => NO_INTERRUPT,
            LINE_CONTROL => self.line_control,
            MODEM_CONTROL => self.modem_control,
            LINE_STATUS if self.looped_back.is_some() => TRANSMITTER_EMPTY | DATA_READY,
            LINE_STATUS => TRANSMITTER_EMPTY,
            MODEM_STATUS if self.modem_control & LOOPBACK != 0 => self.looped_back_lines(),
            MODEM_STATUS => CONNECTED,
            SCRATCH => self.scratch,
            _ => u8::MAX,
        }
    }

    /// Writes a register; returns the byte that leaves the port, if one does.
    pub(crate) fn write(&mut self, register: u8, value: u8) -> Option<u8> {
        match register {
            DATA | INTERRUPT_ENABLE if self.line_control & DIVISOR_ACCESS != 0 => {
                self.divisor[usize::from(register)] = value;
            }
            DATA if self.modem_control & LOOPBACK != 0 => self.looped_back = Some(value),
            DATA => return Some(value),
            INTERRUPT_ENABLE => self.interrupt_enable = value & 0xf,
            INTERRUPT_IDENTIFICATION => self.fifo_control = value,
            LINE_CONTROL => self.line_control = value,
            MODEM_CONTROL => self.modem_control = value & 0x1f,
            SCRATCH => self.scratch = value,
            _ => {}
        }
        None
    }

    /// In loopback mode the outputs DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD.
    fn looped_back_lines(&self) -> u8 {
        let output = |bit: u8| self.modem_control >> bit & 1;
        output(1) << 4 | output(0) << 5 | output(2) << 6 | output(3) << 7
    }
}

#[cfg(test)]
mod tests {
    use super::{DATA, LINE_CONTROL, LINE_STATUS, MODEM_CONTROL, MODEM_STATUS, SCRATCH, Uart};

    #[test]
    fn a_byte_leaves_at_once() {
        let mut uart = Uart::default();
        assert_eq!(uart.read(LINE_STATUS), 0x60);
        assert_eq!(uart.write(DATA, b'x'), Some(b'x'));
        assert_eq!(uart.read(LINE_STATUS), 0x60);
    }

    #[test]
    fn the_divisor_does_not_leave() {
        let mut uart = Uart::default();
        uart.write(LINE_CONTROL, 0x80);
        assert_eq!(uart.write(DATA, 12), None);
        assert_eq!(uart.read(DATA), 12);
        uart.write(LINE_CONTROL, 0x03);
        assert_eq!(uart.read(DATA), 0);
    }

    #[test]
    fn a_driver_s_probe_succeeds() {
        let mut uart = Uart::default();
        uart.write(SCRATCH, 0x5a);
        assert_eq!(uart.read(SCRATCH), 0x5a);
        uart.write(MODEM_CONTROL, 0x1e);
        assert_eq!(uart.write(DATA, 0xae), None);
        assert_eq!((uart.read(LINE_STATUS), uart.read(DATA)), (0x61, 0xae));
        assert_eq!(uart.read(MODEM_STATUS), 0xd0);
    }
}
