// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IO-APIC that the host has for the TD, in shared memory at 0xfec00000.
//!
//! The TD gets the pins that lines of its devices end at; all others read as masked and keep nothing.
//! Behind each is the pin of the machine's own chip, which interrupts the host; the host posts the
//! vector that the TD has written into the entry. A level is posted once: the machine's pin is masked
//! until the TD writes the vector to the EOI register, because nobody else tells the host that the TD
//! is done with it.
//!
//! Spec: IOAPIC "Register Description"; GHCI "`TDG.VP.VMCALL<#VE.RequestMMIO>`".

use crate::observe;

/// The machine's own chip.
#[cfg(target_os = "none")]
pub(crate) mod physical;

/// Where lines of devices end.
pub(crate) mod wiring;

/// Its page.
pub(crate) const BASE: u64 = 0xfec0_0000;

/// Number of pins.
pub(crate) const PINS: usize = 24;

const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;
const EOI: u64 = 0x40;

const VERSION: u32 = 0x0017_0020;
const FIRST_ENTRY: u8 = 0x10;

const MODE: u64 = 7 << 8;
const LOGICAL: u64 = 1 << 11;
const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
const WRITABLE: u64 = 0xff00_0000_0001_afff;

/// The lowest vector that is posted.
const LOWEST: u8 = 32;

/// An interrupt for the TD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Post {
    /// The virtual CPU.
    pub(crate) cpu: u8,
    /// Its vector.
    pub(crate) vector: u8,
}

/// The machine's chip.
pub(crate) trait Pins {
    /// Lets `pin` interrupt the physical CPU of virtual CPU `cpu`, by level or by edge; its polarity is in
    /// the TD's `entry`.
    fn open(&mut self, pin: u8, cpu: u8, entry: u64);

    /// Lets it interrupt nobody. Its trigger and polarity are those of the TD's `entry` all the same: a
    /// chip keeps what comes by level while it is masked, and forgets what comes by edge.
    fn mask(&mut self, pin: u8, entry: u64);
}

/// The chip.
#[derive(Debug)]
pub(crate) struct IoApic {
    select: u8,
    entries: [u64; PINS],
    /// Pins of the TD, a bit each.
    owned: u32,
}

impl IoApic {
    /// A chip of which the TD has the pins of `owned`, a bit each. All are masked.
    pub(crate) const fn new(owned: u32) -> Self {
        Self { select: 0, entries: [MASKED; PINS], owned }
    }

    /// The TD reads.
    pub(crate) fn read(&self, offset: u64) -> u32 {
        match (offset, self.select) {
            (SELECT, select) => select.into(),
            (WINDOW, 1) => VERSION,
            (WINDOW, select) => {
                let Some((pin, upper)) = entry_of(select) else { return 0 };
                let [low, high] = halves(self.entries[usize::from(pin)]);
                if upper { high } else { low }
            }
            _ => 0,
        }
    }

    /// The TD writes.
    pub(crate) fn write(&mut self, offset: u64, value: u32, pins: &mut impl Pins) {
        let [byte, ..] = value.to_le_bytes();
        match offset {
            SELECT => self.select = byte,
            WINDOW => self.write_entry(value, pins),
            EOI => self.end(byte, pins),
            _ => {}
        }
    }

    /// The machine's pin has interrupted. It stays masked if that was by level.
    pub(crate) fn interrupted(&mut self, pin: u8, pins: &mut impl Pins) -> Option<Post> {
        let entry = self.entries.get_mut(usize::from(pin))?;
        if *entry & (LEVEL | MASKED) != 0 {
            pins.mask(pin, *entry);
        }
        if *entry & (MASKED | REMOTE_IRR) != 0 {
            return None;
        }
        if *entry & LEVEL != 0 {
            *entry |= REMOTE_IRR;
        }
        let [vector, .., cpu] = entry.to_le_bytes();
        (*entry & (MODE | LOGICAL) == 0 && vector >= LOWEST).then_some(Post { cpu, vector })
    }

    fn write_entry(&mut self, value: u32, pins: &mut impl Pins) {
        let Some((pin, upper)) = entry_of(self.select) else { return };
        if self.owned >> pin & 1 == 0 {
            return;
        }
        let entry = &mut self.entries[usize::from(pin)];
        let (written, value) = if upper {
            (WRITABLE & !0xffff_ffff, u64::from(value) << 32)
        } else {
            (WRITABLE & 0xffff_ffff, u64::from(value))
        };
        *entry = *entry & !written | value & written;
        if *entry & LEVEL == 0 {
            *entry &= !REMOTE_IRR;
        }
        self.pass_on(pin, pins);
    }

    /// The TD is done with what came by level with `vector`.
    fn end(&mut self, vector: u8, pins: &mut impl Pins) {
        for pin in 0..24 {
            let entry = &mut self.entries[usize::from(pin)];
            let [of_pin, ..] = entry.to_le_bytes();
            if *entry & REMOTE_IRR != 0 && of_pin == vector {
                *entry &= !REMOTE_IRR;
                observe::line_ended(pin);
                self.pass_on(pin, pins);
            }
        }
    }

    /// Has the machine's pin do as the TD's says.
    fn pass_on(&self, pin: u8, pins: &mut impl Pins) {
        let entry = self.entries[usize::from(pin)];
        let [.., cpu] = entry.to_le_bytes();
        if entry & (MASKED | REMOTE_IRR) == 0 {
            pins.open(pin, cpu, entry);
        } else {
            pins.mask(pin, entry);
        }
    }
}

/// The pin whose entry a register is half of, and whether it is the upper half.
fn entry_of(register: u8) -> Option<(u8, bool)> {
    let dword = register.checked_sub(FIRST_ENTRY)?;
    (usize::from(dword / 2) < PINS).then_some((dword / 2, dword % 2 == 1))
}

fn halves(entry: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = entry.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

#[cfg(test)]
mod tests {
    use super::{IoApic, Pins, Post};

    #[derive(Default)]
    struct Log(Vec<String>);

    impl Pins for Log {
        fn open(&mut self, pin: u8, cpu: u8, _: u64) {
            self.0.push(format!("open {pin} cpu {cpu}"));
        }

        fn mask(&mut self, pin: u8, _: u64) {
            self.0.push(format!("mask {pin}"));
        }
    }

    fn write(chip: &mut IoApic, register: u32, value: u32) -> Vec<String> {
        let mut log = Log::default();
        chip.write(0, register, &mut log);
        chip.write(0x10, value, &mut log);
        log.0
    }

    fn read(chip: &mut IoApic, register: u32) -> u32 {
        chip.write(0, register, &mut Log::default());
        chip.read(0x10)
    }

    fn interrupted(chip: &mut IoApic, pin: u8) -> (Option<Post>, Vec<String>) {
        let mut log = Log::default();
        (chip.interrupted(pin, &mut log), log.0)
    }

    /// A chip whose pin 21 has the entry `low`, for CPU 1.
    fn chip(low: u32) -> IoApic {
        let mut chip = IoApic::new(1 << 21);
        write(&mut chip, 0x3b, 0x0100_0000);
        write(&mut chip, 0x3a, low);
        chip
    }

    #[test]
    fn the_td_has_its_own_pins_and_no_others() {
        let mut chip = chip(0xa060);
        assert_eq!(read(&mut chip, 1), 0x0017_0020);
        assert_eq!((read(&mut chip, 0x3a), read(&mut chip, 0x3b)), (0xa060, 0x0100_0000));
        assert_eq!(write(&mut chip, 0x38, 0xa061), Vec::<String>::new());
        assert_eq!(read(&mut chip, 0x38), 0x1_0000);
        assert_eq!(read(&mut chip, 0x40), 0, "there are no more");
    }

    #[test]
    fn a_level_is_posted_once_and_its_pin_masked_until_the_end() {
        let mut chip = chip(0x1_a060);
        assert_eq!(write(&mut chip, 0x3a, 0xa060), ["open 21 cpu 1"]);
        let post = Some(Post { cpu: 1, vector: 0x60 });
        assert_eq!(interrupted(&mut chip, 21), (post, vec!["mask 21".into()]));
        assert_eq!(interrupted(&mut chip, 21), (None, vec!["mask 21".into()]));
        assert_eq!(read(&mut chip, 0x3a), 0xe060);
        let mut log = Log::default();
        chip.write(0x40, 0x61, &mut log);
        assert_eq!(log.0, Vec::<String>::new(), "another vector");
        chip.write(0x40, 0x60, &mut log);
        assert_eq!(log.0, ["open 21 cpu 1"]);
    }

    #[test]
    fn an_end_while_masked_opens_nothing() {
        let mut chip = chip(0xa060);
        interrupted(&mut chip, 21);
        assert_eq!(write(&mut chip, 0x3a, 0x1_a060), ["mask 21"]);
        let mut log = Log::default();
        chip.write(0x40, 0x60, &mut log);
        assert_eq!(log.0, ["mask 21"]);
        assert_eq!(interrupted(&mut chip, 21).0, None);
        assert_eq!(write(&mut chip, 0x3a, 0xa060), ["open 21 cpu 1"]);
    }

    #[test]
    fn an_edge_has_no_end() {
        let mut chip = chip(0x60);
        let post = Some(Post { cpu: 1, vector: 0x60 });
        assert_eq!(interrupted(&mut chip, 21), (post, vec![]));
        assert_eq!(interrupted(&mut chip, 21), (post, vec![]));
    }

    #[test]
    fn what_cannot_be_posted_is_not() {
        for low in [0x0860, 0x0460, 0x001f] {
            let mut chip = chip(low);
            assert_eq!(interrupted(&mut chip, 21).0, None, "{low:#x}");
        }
    }
}
