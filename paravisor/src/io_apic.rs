// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's IO-APIC: 24 pins, one for the serial port and eight for lines of the host's devices.
//!
//! An interrupt by level ends by the EOI that the CPUs broadcast, or by a write of its vector to the EOI
//! register. L2 may write anything; a pin that asks for what no CPU would take as an interrupt (a vector
//! below 16, SMI, NMI, INIT, an external one) sends nothing. A pin's polarity is kept and read back, and
//! has no other effect: who drives a line says whether it asks, not which voltage that is.
//!
//! Spec: IOAPIC "Register Description"; SDM "I/O APIC", "EOI Virtualization".

use crate::width::{high32, low32};
use proxy_irq::L2Vector;

/// Its address.
pub const BASE: u64 = 0xfec0_0000;
/// Number of pins.
pub const PINS: usize = 24;

const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;
const EOI: u64 = 0x40;

const REGISTER_ID: u8 = 0;
const REGISTER_VERSION: u8 = 1;
const REGISTER_ARBITRATION: u8 = 2;
const FIRST_ENTRY: u8 = 0x10;

/// 24 pins, the last of which is 0x17; the chip 0x20, the first that has the EOI register.
const VERSION: u32 = 0x0017_0020;
const ID_BITS: u32 = 0x0f00_0000;

const VECTOR: u64 = 0xff;
const DELIVERY_MODE: u64 = 7 << 8;
const LOWEST_PRIORITY: u64 = 1 << 8;
const LOGICAL: u64 = 1 << 11;
const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
/// Vector, mode, destination mode, polarity, trigger, mask; destination.
const WRITABLE: u64 = 0xff00_0000_0001_afff;

/// The chip.
#[derive(Clone, Debug)]
pub struct IoApic {
    id: u32,
    select: u8,
    pins: [Pin; PINS],
    /// Interrupts that were asked for in a form that no CPU takes.
    nonsense: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pin {
    entry: u64,
    line: Line,
}

/// What a device makes of its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// Nothing is asked for.
    #[default]
    Low,
    /// An interrupt is asked for.
    High,
}

/// A half of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Lower,
    Upper,
}

/// An interrupt for L2's CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its vector.
    pub vector: L2Vector,
    /// Who gets it.
    pub receivers: Receivers,
}

/// Which CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receivers {
    /// The one with this APIC id.
    One(u8),
    /// Those of x2APIC cluster 0 that have their bit set.
    Set(u8),
    /// The lowest of those.
    LowestOf(u8),
    /// All.
    All,
}

/// Interrupts that one access has led to: at most one a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deliveries([Option<Delivery>; PINS]);

impl IoApic {
    /// After reset: all masked.
    #[must_use]
    pub const fn new() -> Self {
        let pin = Pin { entry: MASKED, line: Line::Low };
        Self { id: 0, select: 0, pins: [pin; PINS], nonsense: 0 }
    }

    /// L2 reads `size` bytes at `offset` of the page. Registers are dwords; all else reads as zero.
    #[must_use]
    pub fn read(&self, offset: u64, size: u8) -> u32 {
        match (offset, size) {
            (SELECT, 4) => self.select.into(),
            (WINDOW, 4) => self.register(),
            _ => 0,
        }
    }

    /// L2 writes `size` bytes at `offset` of the page.
    pub fn write(&mut self, offset: u64, size: u8, value: u32) -> Deliveries {
        match (offset, size) {
            (SELECT, 4) => [self.select, ..] = value.to_le_bytes(),
            (WINDOW, 4) => return self.set_register(value),
            (EOI, 4) => {
                let [vector, ..] = value.to_le_bytes();
                return match L2Vector::new(vector) {
                    Some(vector) => self.end_of_interrupt(vector),
                    None => Deliveries::NONE,
                };
            }
            _ => {}
        }
        Deliveries::NONE
    }

    /// A device sets its line. An edge while the pin is masked is lost, as the chip's manual has it.
    pub fn set_line(&mut self, pin: usize, line: Line) -> Deliveries {
        let Some(state) = self.pins.get_mut(pin) else { return Deliveries::NONE };
        let rises = (state.line, line) == (Line::Low, Line::High);
        state.line = line;
        let edge = rises && !state.is_level() && !state.is_masked();
        if edge || state.asks_by_level() { self.deliver(pin) } else { Deliveries::NONE }
    }

    /// A device asks for one interrupt: its line rises and falls.
    pub fn pulse(&mut self, pin: usize) -> Deliveries {
        let deliveries = self.set_line(pin, Line::High);
        let _ = self.set_line(pin, Line::Low);
        deliveries
    }

    /// Whether `pin` would send what is asked for now: it is not masked, and nothing that it has sent by
    /// level waits for its end.
    #[must_use]
    pub fn is_ready(&self, pin: usize) -> bool {
        self.pins.get(pin).is_some_and(|state| state.entry & (MASKED | REMOTE_IRR) == 0)
    }

    /// Whether `pin` sends nothing, whatever is asked for.
    #[must_use]
    pub fn is_masked(&self, pin: usize) -> bool {
        self.pins.get(pin).is_none_or(|state| state.is_masked())
    }

    /// Whether `pin` interrupts by level.
    #[must_use]
    pub fn is_level(&self, pin: usize) -> bool {
        self.pins.get(pin).is_some_and(|state| state.is_level())
    }

    /// The first of `cpus` CPUs that `pin` interrupts, if it interrupts one.
    #[must_use]
    pub fn receiver(&self, pin: usize, cpus: u32) -> Option<u32> {
        let receivers = self.pins.get(pin)?.delivery()?.receivers;
        (0..cpus).find(|cpu| receivers.include(*cpu))
    }

    /// A CPU has ended `vector`, which was an interrupt by level. What still asks is sent again.
    pub fn end_of_interrupt(&mut self, vector: L2Vector) -> Deliveries {
        let mut deliveries = Deliveries::NONE;
        for pin in 0..PINS {
            let Some(state) = self.pins.get_mut(pin) else { continue };
            let ended = state.is_level() && state.entry & VECTOR == u64::from(vector.get());
            if ended && state.entry & REMOTE_IRR != 0 {
                state.entry &= !REMOTE_IRR;
                if state.asks_by_level() {
                    deliveries = deliveries.with(pin, self.deliver(pin));
                }
            }
        }
        deliveries
    }

    /// The vectors whose end the chip has to be told of, a bit each.
    #[must_use]
    pub fn level_vectors(&self) -> [u64; 4] {
        let mut vectors = [0; 4];
        for pin in self.pins.iter().filter(|pin| pin.is_level()) {
            let [vector, ..] = pin.entry.to_le_bytes();
            if let Some(word) = vectors.get_mut(usize::from(vector / 64)) {
                *word |= 1_u64 << (vector % 64);
            }
        }
        vectors
    }

    /// How often a pin has asked for what no CPU takes as an interrupt.
    #[must_use]
    pub const fn nonsense(&self) -> u64 {
        self.nonsense
    }

    fn register(&self) -> u32 {
        match self.select {
            REGISTER_ID | REGISTER_ARBITRATION => self.id,
            REGISTER_VERSION => VERSION,
            _ => self.selected_entry().map_or(0, |(pin, half)| {
                let entry = self.pins.get(pin).map_or(0, |state| state.entry);
                match half {
                    Half::Lower => low32(entry),
                    Half::Upper => high32(entry),
                }
            }),
        }
    }

    fn set_register(&mut self, value: u32) -> Deliveries {
        if self.select == REGISTER_ID {
            self.id = value & ID_BITS;
        }
        let Some((pin, half)) = self.selected_entry() else { return Deliveries::NONE };
        let Some(state) = self.pins.get_mut(pin) else { return Deliveries::NONE };
        state.write(half, value);
        if state.asks_by_level() { self.deliver(pin) } else { Deliveries::NONE }
    }

    /// The pin whose entry is selected, and the half that is.
    fn selected_entry(&self) -> Option<(usize, Half)> {
        let dword = usize::from(self.select.checked_sub(FIRST_ENTRY)?);
        let half = if dword.is_multiple_of(2) { Half::Lower } else { Half::Upper };
        (dword / 2 < PINS).then_some((dword / 2, half))
    }

    fn deliver(&mut self, pin: usize) -> Deliveries {
        let Some(state) = self.pins.get_mut(pin) else { return Deliveries::NONE };
        let Some(delivery) = state.delivery() else {
            self.nonsense = self.nonsense.saturating_add(1);
            return Deliveries::NONE;
        };
        if state.is_level() {
            state.entry |= REMOTE_IRR;
        }
        Deliveries::NONE.and(pin, delivery)
    }
}

impl Default for IoApic {
    fn default() -> Self {
        Self::new()
    }
}

impl Pin {
    const fn is_level(self) -> bool {
        self.entry & LEVEL != 0
    }

    const fn is_masked(self) -> bool {
        self.entry & MASKED != 0
    }

    /// Whether a level is there to be sent, and not sent already.
    const fn asks_by_level(self) -> bool {
        let asserted = self.is_level() && matches!(self.line, Line::High);
        asserted && self.entry & (MASKED | REMOTE_IRR) == 0
    }

    /// L2 writes a half of the entry. What a level has sent is forgotten when the pin becomes one of
    /// edges: kernels end interrupts in this way where the chip has no register for it.
    fn write(&mut self, half: Half, value: u32) {
        let (shift, bits) = match half {
            Half::Lower => (0, 0xffff_ffff),
            Half::Upper => (32, u64::MAX << 32),
        };
        let written = bits & WRITABLE;
        self.entry = self.entry & !written | u64::from(value) << shift & written;
        if !self.is_level() {
            self.entry &= !REMOTE_IRR;
        }
    }

    fn delivery(self) -> Option<Delivery> {
        let [vector, .., destination] = self.entry.to_le_bytes();
        let mode = self.entry & DELIVERY_MODE;
        if mode & !LOWEST_PRIORITY != 0 {
            return None;
        }
        let receivers = match (self.entry & LOGICAL != 0, mode == LOWEST_PRIORITY) {
            (false, _) if destination == u8::MAX => Receivers::All,
            (false, _) => Receivers::One(destination),
            (true, true) => Receivers::LowestOf(destination),
            (true, false) => Receivers::Set(destination),
        };
        Some(Delivery { vector: L2Vector::new(vector)?, receivers })
    }
}

impl Receivers {
    /// Whether CPU `cpu` is one of them.
    #[must_use]
    pub const fn include(self, cpu: u32) -> bool {
        match self {
            Self::One(id) => cpu == id as u32,
            Self::Set(bits) => cpu < 8 && bits >> cpu & 1 == 1,
            Self::LowestOf(bits) => cpu == bits.trailing_zeros() && bits != 0,
            Self::All => true,
        }
    }
}

impl Deliveries {
    /// No interrupt.
    pub const NONE: Self = Self([None; PINS]);

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Delivery> {
        self.0.iter().flatten().copied()
    }

    fn and(mut self, pin: usize, delivery: Delivery) -> Self {
        if let Some(place) = self.0.get_mut(pin) {
            *place = Some(delivery);
        }
        self
    }

    /// These, and that of `other` for `pin`.
    #[must_use]
    pub fn with(self, pin: usize, other: Self) -> Self {
        match other.0.get(pin).copied().flatten() {
            Some(delivery) => self.and(pin, delivery),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests;

/// A naive chip to compare with.
#[cfg(test)]
mod reference;
