// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of a mapping when the slots of its CPU are taken, and the way back.
//!
//! The rungs: a slot of the CPU itself; a slot of another CPU, which passes the interrupts on
//! ([`Mode::Remote`](crate::mapping::Mode)); a refusal, after which the caller may know a host that brings
//! them as messages ([`Relay::grant_for`]). For the second one the vector is let through the
//! filter of the CPU that it ends on, and stays let through until the slot's owner has left the slot.
//!
//! Of the other CPUs a few are looked at and the emptiest is taken, beginning where the last search
//! ended. Only if none of them has a free slot, the next few are: no cost grows with the number of CPUs
//! as long as there is room.

use crate::{
    mailbox::Ticket,
    map::Relay,
    mapping::{MapError, Mapping, Promotion, Source},
    reserved_vector::{L2Vector, Slot},
    slot::SlotWord,
    sync::Ordering,
    unposted::Place,
};

/// How many CPUs are looked at for the emptiest.
const LOOKS: usize = 4;

impl<'a, const CPUS: usize> Relay<'a, CPUS> {
    /// Lets each of the first `cpus` CPUs take interrupts for the others. Until then none does, because
    /// not every CPU that there is may be one that looks at its block.
    pub fn lend_among(&mut self, cpus: usize) {
        self.searched = cpus.min(CPUS);
    }

    /// Returns an interrupt for CPU `cpu` that is passed on by another one, proxied for want of a slot, or
    /// refused, while `cpu` has a free slot: the next in turn each time.
    ///
    /// The caller maps it anew, writes the device's message and gives the old mapping back, as for a
    /// retarget. Or leaves it as it is.
    pub fn promotion(&mut self, cpu: usize) -> Option<Promotion> {
        if !self.unposted.get(cpu)?.has_waiting() {
            return None;
        }
        self.reclaim(cpu);
        if self.books.get(cpu)?.free_slots() == 0 {
            return None;
        }
        let (vector, source) = self.unposted.get_mut(cpu)?.next_waiting()?;
        Some(Promotion { cpu, vector, source })
    }

    /// Does what remains to be done after `ticket`, which is ready: if it was about an interrupt that
    /// was passed on, the vector leaves the filter of the CPU that it ended on, by another ticket.
    pub fn conclude(&mut self, ticket: &Ticket<'a>) -> Option<Ticket<'a>> {
        let slot = ticket.leaving?;
        let taker = ticket.cpu;
        let used = *self.books.get(taker)?.slot(slot);
        self.reclaim(taker);
        let number = self.unposted.get(used.end)?.withdrawing(used.vector, used.source)?;
        Some(Ticket { block: self.blocks.get(used.end)?, cpu: used.end, number, leaving: None })
    }

    /// Maps by a slot of another CPU, or gives one more reference to such a mapping.
    pub(crate) fn map_remote(
        &mut self,
        cpu: usize,
        vector: L2Vector,
        source: Source,
    ) -> Result<Mapping, MapError> {
        if let Some(Place { cpu: taker, slot }) = self.unposted[cpu].remote(vector, source) {
            let used = self.books[taker].slot_mut(slot);
            used.references = used.references.checked_add(1).ok_or(MapError::TooManyReferences)?;
            return Ok(self.mapping(taker, slot));
        }
        let taker = self.emptiest_but(cpu).ok_or(MapError::BlockFull)?;
        let taken = self.books[taker].take(vector, source, cpu);
        let slot = taken.map_err(|_| MapError::BlockFull)?;
        let block = &self.blocks[cpu];
        self.unposted[cpu].reclaim(block);
        if let Err(why) = self.unposted[cpu].lend(vector, source, Place { cpu: taker, slot }) {
            self.books[taker].put_back(slot);
            return Err(why);
        }
        block.mailbox.allowed[vector.bank()].fetch_or(vector.mask(), Ordering::Release);
        let block = &self.blocks[taker];
        block.set_forward(slot, cpu, vector);
        block.slots[slot.index()].store(SlotWord::forwarded(slot).raw(), Ordering::Release);
        Ok(self.mapping(taker, slot))
    }

    /// Frees the slots of CPU `cpu` that their owner has left, and closes the filters of others that
    /// were open for them.
    pub(crate) fn reclaim(&mut self, cpu: usize) {
        let (Some(block), Some(book)) = (self.blocks.get(cpu), self.books.get_mut(cpu)) else {
            return;
        };
        let freed = book.reclaim(block);
        if freed != 0 {
            for slot in Slot::in_bits(freed) {
                self.close_filter(cpu, slot);
            }
        }
        self.unposted[cpu].reclaim(block);
    }

    fn close_filter(&mut self, taker: usize, slot: Slot) {
        let end = self.books[taker].slot(slot).end;
        if end == taker {
            return;
        }
        if let (Some(block), Some(unposted)) = (self.blocks.get(end), self.unposted.get_mut(end)) {
            unposted.left(Place { cpu: taker, slot }, |vector| block.request_revocation(vector));
        }
    }

    /// Returns the emptiest of a few CPUs other than `cpu` that have a free slot.
    fn emptiest_but(&mut self, cpu: usize) -> Option<usize> {
        let searched = self.searched;
        for begin in (0..searched).step_by(LOOKS) {
            let mut best = None;
            for step in begin..searched.min(begin + LOOKS) {
                let other = (self.turn + step) % searched;
                if other == cpu {
                    continue;
                }
                self.reclaim(other);
                let free = self.books[other].free_slots();
                if free > best.map_or(0, |(most, _)| most) {
                    best = Some((free, other));
                }
            }
            if let Some((_, other)) = best {
                self.turn = (self.turn + begin + LOOKS) % searched;
                return Some(other);
            }
        }
        None
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
