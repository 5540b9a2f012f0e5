// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonsense in the IO-APIC: every index, every access, anywhere in its page.

use super::access::{Numbers, every_way, some_way};
use crate::console::line;
use crate::devices::io_apic::{IoApic, MASKED};
use crate::failure::Failure;

const ADDRESS: u64 = 0xfec0_0000;
const PINS: u8 = 24;
const RANDOM: u32 = 2_000;

/// Writes nonsense, then masks all pins and looks whether the chip says so.
pub(super) fn run() -> Result<(), Failure> {
    let chip = IoApic::map()?;
    let version = chip.version();
    let numbers = Numbers::new();
    let mut accesses = 0;
    for index in 0..=0xff {
        chip.write(index, 0xffff_ffff);
        let [.., low, high] = numbers.next().to_be_bytes();
        chip.write(index, u32::from_be_bytes([high, low, high, low]));
        let _ = chip.read(index);
    }
    for offset in [0, 0x10, 0x11, 0x20, 0x40, 0xffc, 0xfff] {
        accesses += every_way(ADDRESS + offset, numbers.next());
    }
    for _ in 0..RANDOM {
        let offset = numbers.of(&[0, 0, 0x10, 0x10, 0x12, 0x20, 0x40, 0x80]).unwrap_or(0);
        accesses += some_way(&numbers, ADDRESS + offset, numbers.next());
    }
    line!("result nonsense=io-apic accesses={accesses}");
    for pin in 0..PINS {
        chip.route(pin, MASKED, 0);
    }
    let masked = (0..PINS).all(|pin| chip.entry(pin) == MASKED);
    if masked && chip.version() == version { Ok(()) } else { Err(Failure::BadDevice("IO-APIC")) }
}
