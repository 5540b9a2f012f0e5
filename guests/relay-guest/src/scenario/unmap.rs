// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entries are masked, moved and switched off while they are being rung.
//!
//! Nobody can say which of those rings become interrupts, but no entry may have more interrupts
//! than rings, masked entries must be silent in the end, and then each must work as on the first
//! day.

use core::ops::Range;

use super::exact::{self, Pace, taken};
use super::machine::Machine;
use crate::devices::doorbell::{Doorbell, Operation};
use crate::failure::Failure;
use crate::vectors::{MAX_ENTRIES, Set};
use crate::{handled, wait};

/// Rounds of ringing masked entries, and of the exact exchange at the end.
const PROOF: u32 = 5;

/// Changes entries under fire, then checks silence and exactness.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let (entries, changes) = (machine.entries(8)?, machine.count(200));
    exact::assign_all(machine, 0..entries)?;
    let mut fire = Fire::new(machine, 0..entries)?;
    let bell = machine.doorbell()?;
    bell.ask(Operation::Free, 0..entries, 0);
    for _ in 0..changes {
        let rung = bell.rung(0);
        wait::poll_until("the next ring", || bell.rung(0) != rung)?;
        fire.change(bell)?;
    }
    silence(bell, 0..entries)?;
    exact::assign_all(machine, 0..entries)?;
    let bell = machine.doorbell()?;
    // Rings of masked entries may have stayed pending at the device until now.
    wait::until_quiet(wait::LONG);
    exact::exact(bell, Pace::Paced, 0..entries, PROOF)?;
    (0..entries).try_for_each(|entry| {
        let (rung, handled) = (u64::from(bell.rung(entry)), taken(entry));
        if handled > rung { Err(Failure::Invented { entry, rung, handled }) } else { Ok(()) }
    })
}

/// Masks all of `entries`, ends the ringing, and checks that masked entries are silent.
pub(super) fn silence(bell: &Doorbell, entries: Range<u16>) -> Result<(), Failure> {
    entries.clone().for_each(|entry| bell.msix().mask(entry));
    bell.ask(Operation::Storm, entries.clone(), 0);
    bell.await_done()?;
    wait::until_quiet(wait::LONG);
    let before = handled::all();
    bell.ask(Operation::Storm, entries, PROOF);
    bell.await_done()?;
    wait::until_quiet(wait::LONG);
    match handled::all() - before {
        0 => Ok(()),
        handled => Err(Failure::NotSilent { handled }),
    }
}

/// Where an entry is at the moment.
#[derive(Clone, Copy, Debug)]
struct Entry {
    set: Set,
    cpu: u8,
    masked: bool,
}

impl Entry {
    const FIRST: Self = Self { set: Set::First, cpu: 0, masked: false };
}

/// The changes, in an order that is random but the same in every run.
pub(super) struct Fire {
    cpus: u8,
    random: u32,
    range: Range<u16>,
    entries: [Entry; MAX_ENTRIES as usize],
}

impl Fire {
    /// Changes to come to the entries of `range`, which are set up.
    pub(super) fn new(machine: &mut Machine<'_>, range: Range<u16>) -> Result<Self, Failure> {
        let cpus = machine.cpus();
        let mut entries = [Entry::FIRST; MAX_ENTRIES as usize];
        for entry in range.clone() {
            entries[usize::from(entry)].cpu = machine.doorbell()?.destination(entry);
        }
        Ok(Self { cpus, random: 1, range, entries })
    }

    /// Changes one of the entries, or switches all of them off and on.
    fn change(&mut self, bell: &Doorbell) -> Result<(), Failure> {
        if self.next(4) == 3 {
            bell.msix().disable();
            bell.msix().enable();
            return Ok(());
        }
        self.change_mapping(bell)
    }

    /// Changes one of the entries.
    pub(super) fn change_mapping(&mut self, bell: &Doorbell) -> Result<(), Failure> {
        let count = u32::from(self.range.end - self.range.start);
        let index = self.range.start + self.next(count);
        let kind = self.next(3);
        let cpu = self.next(self.cpus.into());
        let Some(entry) = self.entries.get_mut(usize::from(index)) else { return Ok(()) };
        match kind {
            0 => entry.masked = !entry.masked,
            1 => entry.set = if entry.set == Set::First { Set::Second } else { Set::First },
            _ => [entry.cpu, _] = cpu.to_le_bytes(),
        }
        match *entry {
            Entry { masked: true, .. } => bell.msix().mask(index),
            // Unmasked as it was masked: without programming it again.
            Entry { .. } if kind == 0 => bell.msix().unmask(index)?,
            Entry { set, cpu, .. } => bell.assign(index, set, cpu)?,
        }
        Ok(())
    }

    /// A number below `end`.
    fn next(&mut self, end: u32) -> u16 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [low, high, ..] = ((self.random >> 16) % end).to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}
