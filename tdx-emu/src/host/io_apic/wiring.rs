// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where lines of devices end in QEMU's q35 machine: what its ACPI tables would tell the host.
//!
//! The southbridge has eight lines, PIRQA to PIRQH, at pins 16 to 23. Devices below number 25 share the
//! upper four in turn; from there on, as its own registers have it after reset, a pin has the line of
//! its own letter.
//!
//! Spec: QEMU "hw/isa/lpc_ich9.c".

const PIRQA: u8 = 16;
const PIRQE: u8 = 20;
const FIRST_OF_CHIPSET: u8 = 25;

/// The pin of the IO-APIC that a device's pin leads to; `pin` is as in configuration space.
pub(crate) fn gsi(devfn: u8, pin: u8) -> Option<u8> {
    let (number, pin) = (devfn >> 3, pin.checked_sub(1).filter(|pin| *pin < 4)?);
    Some(if number < FIRST_OF_CHIPSET { PIRQE + (number + pin) % 4 } else { PIRQA + pin })
}

#[cfg(test)]
mod tests {
    use super::gsi;

    #[test]
    fn lines_are_shared_in_turn() {
        assert_eq!(gsi(1 << 3, 1), Some(21));
        assert_eq!(gsi(5 << 3, 1), Some(21));
        assert_eq!(gsi(3 << 3, 2), Some(20));
        assert_eq!(gsi(31 << 3 | 2, 1), Some(16));
        assert_eq!((gsi(1 << 3, 0), gsi(1 << 3, 5)), (None, None));
    }
}
