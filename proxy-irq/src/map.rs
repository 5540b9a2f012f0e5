// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control plane: which device interrupt has which reserved vector of which CPU.
//!
//! [`Relay`] is the book; the blocks are shared with the CPUs that own them. It takes `&mut self`, so
//! the binary chooses the lock. No method waits: what the owner of a block has to do comes back as a
//! [`Ticket`], to be polled *without* the lock.
//!
//! The order of use, for a device that moves from one mapping to another:
//! `retarget` (the new slot is live) → write the device's message → `unmap` the old one → wait for the
//! ticket. Interrupts that were on their way to the old vector are relayed until then.
//!
//! A mapping is found by (vector, source) in one of 32 buckets and allocated by one bit search; no cost grows with
//! the number of CPUs or of mappings.
//!
//! # Orderings
//! A slot is published with Release before its vector is returned. That pairs with nothing in this
//! crate: the interrupt that reads the slot is caused by the device write that comes after, and the
//! Release keeps the compiler from moving the store behind that write.

use core::sync::atomic::Ordering::Relaxed;

use crate::{
    block::RelayBlock,
    cpu_book::{CpuBook, Phase, Use},
    mailbox::Ticket,
    mapping::{Grant, MapError, Mapping, Masking, Mode, Reason, Source, Stale},
    reserved_vector::{L2Vector, ReservedBlock, Slot},
    slot::SlotWord,
    sync::Ordering,
    unposted::{Place, Unposted},
};

/// The control plane of the relay of `CPUS` virtual CPUs.
#[derive(Debug)]
pub struct Relay<'a, const CPUS: usize> {
    pub(crate) reserved: ReservedBlock,
    pub(crate) blocks: &'a [RelayBlock; CPUS],
    pub(crate) books: [CpuBook; CPUS],
    pub(crate) unposted: [Unposted; CPUS],
    /// How many CPUs take interrupts for others, and where the next search for one begins.
    pub(crate) searched: usize,
    pub(crate) turn: usize,
}

impl<'a, const CPUS: usize> Relay<'a, CPUS> {
    /// Returns the control plane of `blocks`, in which nothing may be mapped yet.
    #[must_use]
    pub const fn new(blocks: &'a [RelayBlock; CPUS], reserved: ReservedBlock) -> Self {
        let books = [const { CpuBook::NEW }; CPUS];
        let unposted = [const { Unposted::NEW }; CPUS];
        Self { reserved, blocks, books, unposted, searched: 0, turn: 0 }
    }

    /// Maps `vector` of L2 on CPU `cpu` for `source`.
    ///
    /// The slot is live when this returns, so the reserved vector can be told to the host at once.
    /// A source that has this mapping already gets another reference to it. If all slots of the CPU are
    /// taken, it is another CPU's slot and the message must go there: [`Mapping::message_cpu`]. A source
    /// that has only such a mapping gets a new one as soon as the CPU itself has a slot.
    pub fn map(
        &mut self,
        cpu: usize,
        vector: L2Vector,
        source: Source,
    ) -> Result<Mapping, MapError> {
        let block = self.blocks.get(cpu).ok_or(MapError::NoSuchCpu)?;
        self.reclaim(cpu);
        let book = &mut self.books[cpu];
        let mapping = if let Some(slot) = book.find(vector, source, cpu) {
            let used = book.slot_mut(slot);
            used.references = used.references.checked_add(1).ok_or(MapError::TooManyReferences)?;
            self.mapping(cpu, slot)
        } else {
            match self.take(cpu, vector, source) {
                Ok(slot) => {
                    let word = SlotWord::banked(vector);
                    block.announce_banked(slot);
                    block.slots[slot.index()].store(word.raw(), Ordering::Release);
                    block.request_redirection(slot);
                    self.mapping(cpu, slot)
                }
                Err(Reason::BlockFull) => match self.map_remote(cpu, vector, source) {
                    Ok(mapping) => mapping,
                    Err(why) => return self.refuse((cpu, vector, source), Reason::BlockFull, why),
                },
                Err(why) => return self.refuse((cpu, vector, source), why, MapError::Quarantined),
            }
        };
        self.unposted[cpu].forget(vector, source);
        Ok(mapping)
    }

    fn refuse(
        &mut self,
        (cpu, vector, source): (usize, L2Vector, Source),
        reason: Reason,
        error: MapError,
    ) -> Result<Mapping, MapError> {
        self.blocks[cpu].mailbox.refused.fetch_add(1, Relaxed);
        self.unposted[cpu].refuse(vector, source, reason);
        Err(error)
    }

    /// Takes a slot of the CPU itself, unless a silent CPU may yet pass the same vector on.
    fn take(&mut self, cpu: usize, vector: L2Vector, source: Source) -> Result<Slot, Reason> {
        let is_silent =
            |place: Place| self.books[place.cpu].phase(place.slot) == Phase::Quarantined;
        if self.unposted[cpu].lent(vector).any(is_silent) {
            return Err(Reason::OwnerSilent);
        }
        self.books[cpu].take(vector, source, cpu)
    }

    /// Returns a reference to what `slot` of CPU `taker` maps.
    pub(crate) fn mapping(&self, taker: usize, slot: Slot) -> Mapping {
        let Use { vector, source, end, generation, .. } = *self.books[taker].slot(slot);
        let reserved = self.reserved.vector(slot);
        Mapping { taker, cpu: end, slot, reserved, vector, source, generation }
    }

    /// Maps the source of `from` to `vector` on `cpu`, and leaves `from` as it is.
    ///
    /// Once the device uses the new mapping, the caller unmaps the old one; if this fails, the old one
    /// is as good as before.
    pub fn retarget(
        &mut self,
        from: &Mapping,
        cpu: usize,
        vector: L2Vector,
    ) -> Result<Mapping, MapError> {
        self.map(cpu, vector, from.source)
    }

    /// Gives one reference back; the last one asks the owner to unmap the slot.
    ///
    /// When the ticket is ready, no CPU relays the old mapping any more, nor ever will. What it had
    /// relayed to L2's pending bits before counts as delivered.
    pub fn unmap(&mut self, mapping: Mapping) -> Result<Ticket<'a>, Stale> {
        let (cpu, slot) = self.live(&mapping)?;
        let block = &self.blocks[cpu];
        let used = self.books[cpu].slot_mut(slot);
        used.references -= 1;
        if used.references != 0 {
            return Ok(Ticket { block, cpu, number: 0, leaving: None });
        }
        let number = block.request_slot(slot, SlotWord::unmapped(slot));
        self.books[cpu].leave(slot, number);
        if mapping.cpu != cpu {
            self.unposted[mapping.cpu].leave(Place { cpu, slot });
        }
        Ok(Ticket { block, cpu, number, leaving: Some(slot) })
    }

    /// Holds the mapping's interrupts back, merged into one, for all its references.
    ///
    /// Until the ticket is ready they may still be relayed.
    pub fn mask(&mut self, mapping: &Mapping) -> Result<Ticket<'a>, Stale> {
        self.set_masking(mapping, Masking::Masked, SlotWord::held(mapping.slot))
    }

    /// Lets the mapping's interrupts through again, and first the one that was held back, if any.
    pub fn unmask(&mut self, mapping: &Mapping) -> Result<Ticket<'a>, Stale> {
        let word = match mapping.mode() {
            Mode::Remote => SlotWord::forwarded(mapping.slot),
            _ => SlotWord::banked(mapping.vector),
        };
        self.set_masking(mapping, Masking::Unmasked, word)
    }

    /// Gives up waiting for the owner of a block: an unmapped slot is out of use until the owner has
    /// answered after all. Silence is never taken for an answer.
    pub fn quarantine(&mut self, ticket: Ticket<'a>) {
        if let Some(slot) = ticket.leaving {
            self.quarantine_slot(ticket.cpu, slot, ticket.number);
        }
    }

    /// Takes `slot` out of use if it still waits for its owner to serve request `number`.
    pub(crate) fn quarantine_slot(&mut self, cpu: usize, slot: Slot, number: u64) {
        let (Some(block), Some(book)) = (self.blocks.get(cpu), self.books.get_mut(cpu)) else {
            return;
        };
        if !block.has_served(number) && book.quarantine(slot, number) {
            let word = SlotWord::unmapped(slot).raw();
            // A swap, so that it has its place in the order of the owner's exchanges.
            block.slots[slot.index()].swap(word, Relaxed);
            block.mailbox.quarantined.fetch_add(1, Relaxed);
        }
    }

    /// Lets `vector` pass CPU `cpu`'s filter for `source`, whose interrupts arrive by the proxy path
    /// because the caller wants it so.
    pub fn grant(
        &mut self,
        cpu: usize,
        vector: L2Vector,
        source: Source,
    ) -> Result<Grant, MapError> {
        self.grant_for(cpu, (vector, source), Reason::Asked)
    }

    /// As [`grant`](Self::grant), for another reason. What is proxied because of
    /// [`Reason::BlockFull`] is told by [`promotion`](Self::promotion) as soon as there is a slot.
    pub fn grant_for(
        &mut self,
        cpu: usize,
        (vector, source): (L2Vector, Source),
        reason: Reason,
    ) -> Result<Grant, MapError> {
        let block = self.blocks.get(cpu).ok_or(MapError::NoSuchCpu)?;
        let unposted = &mut self.unposted[cpu];
        unposted.reclaim(block);
        unposted.grant(vector, source, reason)?;
        unposted.forget(vector, source);
        block.mailbox.allowed[vector.bank()].fetch_or(vector.mask(), Ordering::Release);
        Ok(Grant { cpu, vector, source })
    }

    /// Takes a grant back; the last one for its vector asks the owner to close the filter. What was
    /// posted before still passes, what is posted after the ticket is ready does not.
    pub fn revoke(&mut self, grant: Grant) -> Result<Ticket<'a>, Stale> {
        let Grant { cpu, vector, source } = grant;
        let block = self.blocks.get(cpu).ok_or(Stale)?;
        let number = self.unposted[cpu]
            .release(vector, source, || block.request_revocation(vector))
            .ok_or(Stale)?;
        Ok(Ticket { block, cpu, number, leaving: None })
    }

    /// Forgets that `source` was refused a slot, for instance because its device is gone.
    pub fn forget_refusal(&mut self, cpu: usize, vector: L2Vector, source: Source) {
        if let Some(unposted) = self.unposted.get_mut(cpu) {
            unposted.forget(vector, source);
        }
    }

    fn set_masking(
        &mut self,
        mapping: &Mapping,
        masking: Masking,
        word: SlotWord,
    ) -> Result<Ticket<'a>, Stale> {
        let (cpu, slot) = self.live(mapping)?;
        let block = &self.blocks[cpu];
        let used = self.books[cpu].slot_mut(slot);
        let mut number = used.request;
        if used.masking != masking {
            number = block.request_slot(slot, word);
            used.masking = masking;
            used.request = number;
        }
        Ok(Ticket { block, cpu, number, leaving: None })
    }

    /// Returns which slot of which CPU `mapping` has, if it is one of ours.
    fn live(&self, mapping: &Mapping) -> Result<(usize, Slot), Stale> {
        let Mapping { taker, cpu, slot, vector, source, generation, .. } = *mapping;
        let book = self.books.get(taker).ok_or(Stale)?;
        let used = book.slot(slot);
        let same = book.phase(slot) == Phase::Mapped
            && (used.end, used.vector, used.source) == (cpu, vector, source)
            && used.generation == generation;
        if same { Ok((taker, slot)) } else { Err(Stale) }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
