// SPDX-License-Identifier: MIT OR Apache-2.0
//! The serial port as a source of interrupts: its transmitter is always empty, and it says so once
//! after that is switched on.
//!
//! # Orderings
//! The boot CPU sets `IGNORED` before it switches the interrupt on by a port write: Relaxed. A handler
//! that is done with the port says so in `TAKEN` with Release, which the boot CPU reads with Acquire
//! before it sets the other one again.
//!
//! Spec: UART "Interrupt Identification Register".

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::port;

/// The IO-APIC's pin.
pub(crate) const PIN: u8 = 4;

const INTERRUPT_ENABLE: u16 = 0x3f9;
const INTERRUPT_IDENTIFICATION: u16 = 0x3fa;
const MODEM_CONTROL: u16 = 0x3fc;

const TRANSMITTER_EMPTY: u8 = 1 << 1;
/// DTR, RTS and OUT2, which lets the interrupt pass.
const CONNECTED: u8 = 0x0b;

/// How many interrupts the handler is to leave as they are.
static IGNORED: AtomicU32 = AtomicU32::new(0);

/// Interrupts whose handlers are done with the port.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Interrupts whose handlers are done with the port.
pub(crate) fn taken() -> u64 {
    TAKEN.load(Ordering::Acquire)
}

/// Asks for an interrupt, of which the handler ignores the cause `ignored` times.
pub(crate) fn ask(ignored: u32) {
    IGNORED.store(ignored, Ordering::Relaxed);
    port::write8(MODEM_CONTROL, CONNECTED);
    port::write8(INTERRUPT_ENABLE, TRANSMITTER_EMPTY);
}

/// Asks for none.
pub(crate) fn silence() {
    port::write8(INTERRUPT_ENABLE, 0);
}

/// Being read, the port is content; unless the handler is to ignore it.
pub(crate) fn acknowledge() {
    let less = |left: u32| left.checked_sub(1);
    if IGNORED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
        let _ = port::read8(INTERRUPT_IDENTIFICATION);
    }
    TAKEN.fetch_add(1, Ordering::Release);
}
