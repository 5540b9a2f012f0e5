// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the control plane says about every source that it knows: how its interrupts arrive, and why.

use crate::{
    cpu_book::Phase,
    map::Relay,
    mapping::{Listed, Mode, Reason},
    reserved_vector::Slot,
};

impl<const CPUS: usize> Relay<'_, CPUS> {
    /// Iterates over all sources, CPU by CPU: those that it takes by a slot
    /// first, for itself or for another, then those that have no slot.
    pub fn mappings(&self) -> impl Iterator<Item = Listed> {
        (0..CPUS).flat_map(|cpu| self.with_slot(cpu).chain(self.without_slot(cpu)))
    }

    fn with_slot(&self, cpu: usize) -> impl Iterator<Item = Listed> {
        let book = &self.books[cpu];
        Slot::all().filter_map(move |slot| {
            let used = book.slot(slot);
            let (mode, reason) = match book.phase(slot) {
                Phase::Free => return None,
                Phase::Mapped if used.end != cpu => (Mode::Remote, Reason::BlockFull),
                Phase::Mapped => (Mode::Posted, Reason::SlotFree),
                Phase::Leaving => (Mode::Unmapping, Reason::Released),
                Phase::Quarantined => (Mode::Quarantined, Reason::OwnerSilent),
            };
            Some(Listed {
                cpu: used.end,
                taker: cpu,
                vector: used.vector,
                source: used.source,
                mode,
                reason,
                reserved: Some(self.reserved.vector(slot)),
                references: used.references,
                generation: used.generation,
                masking: used.masking,
            })
        })
    }

    fn without_slot(&self, cpu: usize) -> impl Iterator<Item = Listed> {
        self.unposted[cpu].iter().filter_map(move |entry| {
            let (mode, reason) = entry.standing.mode()?;
            Some(Listed {
                cpu,
                taker: cpu,
                vector: entry.vector,
                source: entry.source,
                mode,
                reason,
                reserved: None,
                references: entry.references,
                generation: 0,
                masking: Default::default(),
            })
        })
    }
}
