// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's serial port: a 16550A that is always ready to send and never receives.
//!
//! The transmitter is empty as soon as it was written to. So the interrupt that says so comes at once,
//! and also when it is switched on while the transmitter is empty, which drivers count on to start
//! sending. The port's interrupt passes the gate that OUT2 opens, as on every PC.
//!
//! Spec: UART "Registers", "Interrupt Identification Register", "Modem Control Register".

const DATA: u8 = 0;
const INTERRUPT_ENABLE: u8 = 1;
const INTERRUPT_IDENTIFICATION: u8 = 2;
const LINE_CONTROL: u8 = 3;
const MODEM_CONTROL: u8 = 4;
const LINE_STATUS: u8 = 5;
const MODEM_STATUS: u8 = 6;
const SCRATCH: u8 = 7;

const ENABLE_RECEIVED: u8 = 1 << 0;
const ENABLE_TRANSMITTER_EMPTY: u8 = 1 << 1;
const ENABLES: u8 = 0x0f;

const IDENTIFIED_NOTHING: u8 = 0x01;
const IDENTIFIED_TRANSMITTER_EMPTY: u8 = 0x02;
const IDENTIFIED_RECEIVED: u8 = 0x04;
const FIFOS_ENABLED: u8 = 0xc0;

const FIFO_ENABLE: u8 = 1 << 0;
const FIFO_CLEAR_RECEIVER: u8 = 1 << 1;
const DIVISOR_ACCESS: u8 = 1 << 7;
const OUT2: u8 = 1 << 3;
const LOOPBACK: u8 = 1 << 4;
const MODEM_CONTROLS: u8 = 0x1f;

const DATA_READY: u8 = 1 << 0;
const TRANSMITTER_EMPTY: u8 = 0b11 << 5;
/// Clear to send, data set ready, carrier detected.
const CONNECTED: u8 = 0b1011 << 4;

/// The registers.
#[derive(Clone, Debug, Default)]
pub struct Uart {
    divisor: [u8; 2],
    enabled: u8,
    fifo: bool,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    looped_back: Option<u8>,
    /// The transmitter became empty, and nobody was told yet.
    emptied: bool,
}

impl Uart {
    /// After reset.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            divisor: [0; 2],
            enabled: 0,
            fifo: false,
            line_control: 0,
            modem_control: 0,
            scratch: 0,
            looped_back: None,
            emptied: false,
        }
    }

    /// Reads `register`, 0–7.
    pub fn read(&mut self, register: u8) -> u8 {
        match register {
            DATA | INTERRUPT_ENABLE if self.line_control & DIVISOR_ACCESS != 0 => {
                self.divisor[usize::from(register)]
            }
            DATA => self.looped_back.take().unwrap_or(0),
            INTERRUPT_ENABLE => self.enabled,
            INTERRUPT_IDENTIFICATION => self.identify(),
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

    /// Writes `register`, 0–7; returns the byte that leaves the port, if one does.
    pub fn write(&mut self, register: u8, value: u8) -> Option<u8> {
        match register {
            DATA | INTERRUPT_ENABLE if self.line_control & DIVISOR_ACCESS != 0 => {
                self.divisor[usize::from(register)] = value;
            }
            DATA => return self.send(value),
            INTERRUPT_ENABLE => {
                let switched_on = value & !self.enabled & ENABLE_TRANSMITTER_EMPTY != 0;
                self.emptied |= switched_on;
                self.enabled = value & ENABLES;
            }
            INTERRUPT_IDENTIFICATION => {
                self.fifo = value & FIFO_ENABLE != 0;
                if value & FIFO_CLEAR_RECEIVER != 0 {
                    self.looped_back = None;
                }
            }
            LINE_CONTROL => self.line_control = value,
            MODEM_CONTROL => self.modem_control = value & MODEM_CONTROLS,
            SCRATCH => self.scratch = value,
            _ => {}
        }
        None
    }

    /// Whether the port's interrupt line is high.
    #[must_use]
    pub const fn interrupts(&self) -> bool {
        // In loopback mode the output is held inactive.
        let gate_open = self.modem_control & (OUT2 | LOOPBACK) == OUT2;
        gate_open && self.cause() != IDENTIFIED_NOTHING
    }

    fn send(&mut self, byte: u8) -> Option<u8> {
        self.emptied = true;
        if self.modem_control & LOOPBACK != 0 {
            self.looped_back = Some(byte);
            return None;
        }
        Some(byte)
    }

    /// To be told that the transmitter is empty ends that cause.
    const fn identify(&mut self) -> u8 {
        let cause = self.cause();
        if cause == IDENTIFIED_TRANSMITTER_EMPTY {
            self.emptied = false;
        }
        if self.fifo { FIFOS_ENABLED | cause } else { cause }
    }

    const fn cause(&self) -> u8 {
        if self.enabled & ENABLE_RECEIVED != 0 && self.looped_back.is_some() {
            IDENTIFIED_RECEIVED
        } else if self.enabled & ENABLE_TRANSMITTER_EMPTY != 0 && self.emptied {
            IDENTIFIED_TRANSMITTER_EMPTY
        } else {
            IDENTIFIED_NOTHING
        }
    }

    /// In loopback mode the outputs DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD.
    const fn looped_back_lines(&self) -> u8 {
        let [dtr, rts, out1, out2] = [
            self.modem_control & 1,
            self.modem_control >> 1 & 1,
            self.modem_control >> 2 & 1,
            self.modem_control >> 3 & 1,
        ];
        rts << 4 | dtr << 5 | out1 << 6 | out2 << 7
    }
}

#[cfg(test)]
mod tests {
    use super::{
        DATA, INTERRUPT_ENABLE, INTERRUPT_IDENTIFICATION, LINE_CONTROL, LINE_STATUS, MODEM_CONTROL,
        MODEM_STATUS, OUT2, SCRATCH, Uart,
    };

    fn wired() -> Uart {
        let mut uart = Uart::new();
        uart.write(MODEM_CONTROL, OUT2);
        uart
    }

    #[test]
    fn a_byte_leaves_at_once() {
        let mut uart = Uart::new();
        assert_eq!(uart.read(LINE_STATUS), 0x60);
        assert_eq!(uart.write(DATA, b'x'), Some(b'x'));
        assert_eq!(uart.read(LINE_STATUS), 0x60);
    }

    #[test]
    fn the_divisor_does_not_leave() {
        let mut uart = Uart::new();
        uart.write(LINE_CONTROL, 0x83);
        assert_eq!(uart.write(DATA, 12), None);
        uart.write(INTERRUPT_ENABLE, 3);
        assert_eq!((uart.read(DATA), uart.read(INTERRUPT_ENABLE)), (12, 3));
        uart.write(LINE_CONTROL, 0x03);
        assert_eq!((uart.read(DATA), uart.read(INTERRUPT_ENABLE)), (0, 0));
    }

    #[test]
    fn a_driver_finds_a_16550a() {
        let mut uart = Uart::new();
        uart.write(INTERRUPT_ENABLE, 0xff);
        assert_eq!(uart.read(INTERRUPT_ENABLE), 0x0f, "nothing beyond a 16550");
        uart.write(INTERRUPT_ENABLE, 0);
        uart.write(SCRATCH, 0x5a);
        assert_eq!(uart.read(SCRATCH), 0x5a);
        uart.write(INTERRUPT_IDENTIFICATION, 0x01);
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0xc1);
        uart.write(INTERRUPT_IDENTIFICATION, 0x00);
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0x01);
    }

    #[test]
    fn the_loop_brings_bytes_and_lines_back() {
        let mut uart = Uart::new();
        uart.write(MODEM_CONTROL, 0x1a);
        assert_eq!(uart.read(MODEM_STATUS) & 0xf0, 0x90);
        assert_eq!(uart.write(DATA, 0xae), None);
        assert_eq!((uart.read(LINE_STATUS), uart.read(DATA)), (0x61, 0xae));
        uart.write(MODEM_CONTROL, 0x0b);
        assert_eq!(uart.read(MODEM_STATUS), 0xb0);
    }

    #[test]
    fn an_empty_transmitter_interrupts_when_that_is_switched_on() {
        let mut uart = wired();
        for _ in 0..2 {
            assert!(!uart.interrupts());
            uart.write(INTERRUPT_ENABLE, 2);
            assert!(uart.interrupts());
            assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0x02);
            assert!(!uart.interrupts(), "being told ends it");
            assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0x01);
            uart.write(INTERRUPT_ENABLE, 2);
            assert!(!uart.interrupts(), "it was on already");
            uart.write(INTERRUPT_ENABLE, 0);
        }
    }

    #[test]
    fn each_byte_empties_the_transmitter_anew() {
        let mut uart = wired();
        uart.write(INTERRUPT_ENABLE, 2);
        uart.read(INTERRUPT_IDENTIFICATION);
        uart.write(DATA, b'x');
        assert!(uart.interrupts());
        uart.write(INTERRUPT_ENABLE, 0);
        assert!(!uart.interrupts());
    }

    #[test]
    fn the_gate_holds_interrupts_back() {
        let mut uart = Uart::new();
        uart.write(INTERRUPT_ENABLE, 2);
        assert!(!uart.interrupts());
        uart.write(MODEM_CONTROL, 0x18);
        assert!(!uart.interrupts(), "loopback");
        uart.write(MODEM_CONTROL, OUT2);
        assert!(uart.interrupts());
    }

    #[test]
    fn a_received_byte_comes_before_an_empty_transmitter() {
        let mut uart = Uart::new();
        uart.write(MODEM_CONTROL, 0x10);
        uart.write(INTERRUPT_ENABLE, 3);
        uart.write(DATA, 1);
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0x04);
        assert_eq!(uart.read(DATA), 1);
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0x02);
    }
}
