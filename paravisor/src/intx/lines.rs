// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines that L2's devices have, from the host's chip to L2's.
//!
//! A line is a pin of the host's chip, a vector of L1 and a pin of L2's chip. The host's pin is set up,
//! masked, when a device on it is assigned; a chip that did not know that a line works by level would
//! lose what comes meanwhile. It is open while L2's is.
//!
//! The host tells of a level once and then waits for its end. L1 asks L2's chip for one interrupt; when
//! L2 has ended that, the host's chip is told of the end, looks at the line again and tells again if it
//! still asks. So a line is *sampled* each time, and L1 never holds on to what a device may have taken
//! back. While L2's pin is masked L1 keeps the end for itself, and lets go of it when L2 opens the pin:
//! what came meanwhile comes then, if it is still there, and not otherwise. A driver that masks its pin
//! while it works on an interrupt, and opens it afterwards, so costs no call more than one that does not.
//!
//! By edge there is no end. What comes while L2 still works on the last one is remembered once.
//!
//! Devices share a line if all that is known of it says level. The host may raise the vector of any line
//! at any time; that is one interrupt of a pin that L2 has opened, or none.

use core::fmt;

use super::{
    Route, Trigger,
    host_chip::{Entry, Gate, HostChip, survey},
};
use crate::io_apic::{Deliveries, IoApic};

/// Most lines.
pub const LINES: usize = 8;
/// L2's pin of the first line.
pub const FIRST_PIN: usize = 16;

/// All lines.
#[derive(Clone, Debug)]
pub struct Lines {
    lines: [Option<Line>; LINES],
    /// Interrupts on vectors of lines that no device has.
    strays: u64,
    /// L1's vector of the first line.
    first_vector: u8,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    entry: Entry,
    /// The host has told of it, and waits for the end.
    outstanding: bool,
    /// An edge came while L2's pin could not send it.
    again: bool,
    /// What the host has told of.
    told: u64,
    /// What the host has been told the end of.
    ended: u64,
}

/// Why a device gets no line. Said to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The host has no chip that can be told of an end.
    NoChip,
    /// The host's chip has no such pin.
    NoPin,
    /// The host does not let the TD have the pin.
    Denied,
    /// Another device has the line already, and one of them by edge.
    Edge,
    /// Another device has the line already, with another polarity.
    Polarity,
    /// There are as many lines as there can be.
    Full,
}

/// The figures of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The host's interrupt.
    pub gsi: u8,
    /// L2's pin.
    pub pin: usize,
    /// What the host has told of.
    pub told: u64,
    /// What the host has been told the end of.
    pub ended: u64,
}

impl Lines {
    /// None yet; L1's vectors for them begin with `first_vector`.
    #[must_use]
    pub const fn new(first_vector: u8) -> Self {
        Self { lines: [None; LINES], strays: 0, first_vector }
    }

    /// Gives the device of `route` its line: L2's pin. The host's is set up, masked.
    ///
    /// # Errors
    /// Why the device has no line. Nothing has changed then.
    pub fn assign(&mut self, chip: &mut impl HostChip, route: &Route) -> Result<usize, Refusal> {
        let pins = survey(chip).ok_or(Refusal::NoChip)?;
        let gsi = u8::try_from(route.gsi).ok().filter(|gsi| u32::from(*gsi) < pins);
        let gsi = gsi.ok_or(Refusal::NoPin)?;
        let same =
            self.lines.iter().position(|line| line.is_some_and(|line| line.entry.gsi == gsi));
        if let Some((index, line)) =
            same.and_then(|index| Some((index, self.lines.get(index)?.as_ref()?)))
        {
            return line.admits(route).map(|()| FIRST_PIN + index);
        }
        let free = self.lines.iter_mut().enumerate().find(|(_, line)| line.is_none());
        let (index, place) = free.ok_or(Refusal::Full)?;
        let vector = self.first_vector.wrapping_add(u8::try_from(index).unwrap_or(0));
        let Route { trigger, polarity, .. } = *route;
        let entry = Entry { gsi, vector, cpu: 0, trigger, polarity, gate: Gate::Masked };
        // Masked before anything else.
        entry.write(chip);
        entry.write_destination(chip);
        if !entry.is_there(chip) {
            return Err(Refusal::Denied);
        }
        *place = Some(Line { entry, outstanding: false, again: false, told: 0, ended: 0 });
        Ok(FIRST_PIN + index)
    }

    /// The host tells of line `index`.
    pub fn told(&mut self, index: usize, io_apic: &mut IoApic) -> Deliveries {
        let pin = FIRST_PIN + index;
        let Some(line) = self.lines.get_mut(index).and_then(Option::as_mut) else {
            self.strays = self.strays.saturating_add(1);
            return Deliveries::NONE;
        };
        line.told = line.told.saturating_add(1);
        if line.entry.trigger == Trigger::Level {
            // Told twice is the host's mistake; one end is all that it gets.
            if core::mem::replace(&mut line.outstanding, true) {
                return Deliveries::NONE;
            }
        } else if !io_apic.is_ready(pin) {
            line.again = true;
            return Deliveries::NONE;
        }
        io_apic.pulse(pin)
    }

    /// To be called after each change of L2's chip: opens the host's pins as L2 opens its own, sends them
    /// to the CPU that L2 wants, and lets go of the ends that were waited for. `cpus` is the number of
    /// L2's CPUs.
    pub fn follow(
        &mut self,
        io_apic: &mut IoApic,
        chip: &mut impl HostChip,
        cpus: u32,
    ) -> Deliveries {
        let mut deliveries = Deliveries::NONE;
        let lines = self.lines.iter_mut().enumerate();
        for (pin, line) in lines.filter_map(|(i, line)| Some((FIRST_PIN + i, line.as_mut()?))) {
            if io_apic.is_masked(pin) {
                line.close(chip);
            } else if io_apic.is_ready(pin) {
                line.open(io_apic.receiver(pin, cpus), chip);
                line.end(chip);
                if core::mem::take(&mut line.again) {
                    deliveries = deliveries.with(pin, io_apic.pulse(pin));
                }
            }
        }
        deliveries
    }

    /// What became of each line.
    pub fn figures(&self) -> impl Iterator<Item = Figures> {
        let lines = self.lines.iter().zip(FIRST_PIN..);
        lines.filter_map(|(line, pin)| {
            let Line { entry, told, ended, .. } = (*line)?;
            Some(Figures { gsi: entry.gsi, pin, told, ended })
        })
    }

    /// Interrupts on vectors of lines that no device has.
    #[must_use]
    pub const fn strays(&self) -> u64 {
        self.strays
    }
}

impl Line {
    /// Whether one more device may have the line.
    fn admits(&self, route: &Route) -> Result<(), Refusal> {
        if self.entry.trigger == Trigger::Edge || route.trigger == Trigger::Edge {
            Err(Refusal::Edge)
        } else if self.entry.polarity != route.polarity {
            Err(Refusal::Polarity)
        } else {
            Ok(())
        }
    }

    /// Sends the line to `cpu`, if L2's pin has one, and opens the host's pin if it is not.
    fn open(&mut self, cpu: Option<u32>, chip: &mut impl HostChip) {
        let cpu = cpu.and_then(|cpu| u8::try_from(cpu).ok()).unwrap_or(self.entry.cpu);
        if core::mem::replace(&mut self.entry.cpu, cpu) != cpu {
            self.entry.write_destination(chip);
        }
        self.set_gate(Gate::Open, chip);
    }

    /// Has the host not tell of the line, unless it waits for an end and so does not anyway.
    fn close(&mut self, chip: &mut impl HostChip) {
        if !self.outstanding {
            self.set_gate(Gate::Masked, chip);
        }
    }

    fn set_gate(&mut self, gate: Gate, chip: &mut impl HostChip) {
        if core::mem::replace(&mut self.entry.gate, gate) != gate {
            self.entry.write(chip);
        }
    }

    /// Tells the host of the end, if it waits for one.
    fn end(&mut self, chip: &mut impl HostChip) {
        if core::mem::take(&mut self.outstanding) {
            self.ended = self.ended.saturating_add(1);
            chip.end_of_interrupt(self.entry.vector);
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoChip => "the host has no IO-APIC with an EOI register",
            Self::NoPin => "the host's IO-APIC has no such pin",
            Self::Denied => "the host does not let the TD have the pin",
            Self::Edge => "another device has the line, and one of them by edge",
            Self::Polarity => "another device has the line, with another polarity",
            Self::Full => "there are too many lines",
        })
    }
}

#[cfg(test)]
mod tests;
