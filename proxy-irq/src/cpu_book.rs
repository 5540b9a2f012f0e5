// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control plane's book of one CPU's slots: which are free, and whose the others are.
//!
//! A slot goes `free → mapped → leaving → free`, or over `quarantined` if its owner is silent. It is
//! free again only when the owner has executed the unmap *and* has seen the reserved vector clear in
//! L1's IRR: an interrupt that was on its way must not come out as the next mapping's.
//!
//! Free slots are taken in the order in which they became free, so that a late interrupt finds its
//! slot unused for as long as possible.

use crate::{
    block::RelayBlock,
    mapping::{Masking, Reason, Source},
    reserved_vector::{L2Vector, SLOTS, Slot},
};

/// The book of one CPU.
#[derive(Debug)]
pub(crate) struct CpuBook {
    free: u32,
    leaving: u32,
    quarantined: u32,
    /// The free slots, the one to be taken next at `next`, the others behind it round the array.
    queue: [Slot; SLOTS],
    next: usize,
    uses: [Use; SLOTS],
    /// Which slots are not free, by what [`Use::bucket`] says of them.
    buckets: [u32; SLOTS],
}

/// What a slot is or was last used for; meaningless while it has never been used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) vector: L2Vector,
    pub(crate) source: Source,
    /// The CPU on which L2 gets the interrupt.
    pub(crate) end: usize,
    pub(crate) references: u32,
    pub(crate) generation: u32,
    pub(crate) masking: Masking,
    /// The last request made for the slot.
    pub(crate) request: u64,
}

/// The life of a slot that is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Free,
    Mapped,
    Leaving,
    Quarantined,
}

impl CpuBook {
    pub(crate) const NEW: Self = Self {
        free: !0,
        leaving: 0,
        quarantined: 0,
        queue: Slot::ALL,
        next: 0,
        uses: [Use::NEVER; SLOTS],
        buckets: [0; SLOTS],
    };

    pub(crate) const fn slot(&self, slot: Slot) -> &Use {
        &self.uses[slot.index()]
    }

    pub(crate) const fn slot_mut(&mut self, slot: Slot) -> &mut Use {
        &mut self.uses[slot.index()]
    }

    pub(crate) const fn phase(&self, slot: Slot) -> Phase {
        if self.free & slot.bit() != 0 {
            Phase::Free
        } else if self.leaving & slot.bit() != 0 {
            Phase::Leaving
        } else if self.quarantined & slot.bit() != 0 {
            Phase::Quarantined
        } else {
            Phase::Mapped
        }
    }

    /// Returns the slot that maps `vector` of CPU `end` for `source`. Looks at those of one bucket: seldom more
    /// than one, and at most 32.
    pub(crate) fn find(&self, vector: L2Vector, source: Source, end: usize) -> Option<Slot> {
        let mapped = !(self.free | self.leaving | self.quarantined);
        let alike = self.buckets[Use::bucket(vector, source)];
        Slot::in_bits(mapped & alike).find(|slot| {
            let used = self.slot(*slot);
            (used.vector, used.source, used.end) == (vector, source, end)
        })
    }

    /// Takes the slot that has been free for longest, unless a quarantined one may yet relay the same
    /// vector.
    pub(crate) fn take(
        &mut self,
        vector: L2Vector,
        source: Source,
        end: usize,
    ) -> Result<Slot, Reason> {
        let same = |slot| (self.slot(slot).vector, self.slot(slot).end) == (vector, end);
        if Slot::in_bits(self.quarantined).any(same) {
            return Err(Reason::OwnerSilent);
        }
        if self.free == 0 {
            return Err(Reason::BlockFull);
        }
        let slot = self.queue[self.next % SLOTS];
        self.free &= !slot.bit();
        self.next = (self.next + 1) % SLOTS;
        let used = self.slot_mut(slot);
        let generation = used.generation.wrapping_add(1);
        *used = Use { vector, source, end, references: 1, generation, ..Use::NEVER };
        self.buckets[Use::bucket(vector, source)] |= slot.bit();
        Ok(slot)
    }

    /// Returns how many slots are free.
    pub(crate) const fn free_slots(&self) -> u32 {
        self.free.count_ones()
    }

    /// Frees `slot`, which was taken and never published.
    pub(crate) fn put_back(&mut self, slot: Slot) {
        self.give(slot);
    }

    /// Returns the slots that are mapped for `device`.
    pub(crate) fn slots_of(&self, device: u32) -> u32 {
        let mapped = Slot::in_bits(!(self.free | self.leaving | self.quarantined));
        let of_device = mapped.filter(|slot| self.slot(*slot).source.device == device);
        of_device.fold(0, |slots, slot| slots | slot.bit())
    }

    /// Notes that the owner was asked to unmap `slot`.
    pub(crate) fn leave(&mut self, slot: Slot, request: u64) {
        self.leaving |= slot.bit();
        self.slot_mut(slot).request = request;
    }

    /// Notes that the owner did not answer request `number`; returns whether the slot waits for it.
    pub(crate) fn quarantine(&mut self, slot: Slot, number: u64) -> bool {
        let waits = self.leaving & slot.bit() != 0 && self.slot(slot).request == number;
        if waits {
            self.leaving &= !slot.bit();
            self.quarantined |= slot.bit();
        }
        waits
    }

    /// Frees the slots that their owner has left, and asks it to look again at those whose reserved
    /// vector still pends. A quarantined slot is no exception: the answer is proof, however late.
    /// Returns the slots that are free now and were not.
    pub(crate) fn reclaim(&mut self, block: &RelayBlock) -> u32 {
        let (mut asked, before) = (None, self.free);
        for slot in Slot::in_bits(self.leaving | self.quarantined) {
            if !block.has_served(self.slot(slot).request) {
                continue;
            }
            if block.reserved_irr() & slot.bit() == 0 {
                self.leaving &= !slot.bit();
                self.quarantined &= !slot.bit();
                self.give(slot);
            } else {
                self.slot_mut(slot).request = *asked.get_or_insert_with(|| block.request());
            }
        }
        self.free & !before
    }
}

impl CpuBook {
    /// Puts a slot behind the others that are free.
    fn give(&mut self, slot: Slot) {
        let ahead = usize::try_from(self.free.count_ones()).unwrap_or(0);
        self.queue[(self.next + ahead) % SLOTS] = slot;
        self.free |= slot.bit();
        let Use { vector, source, .. } = *self.slot(slot);
        self.buckets[Use::bucket(vector, source)] &= !slot.bit();
    }
}

impl Use {
    const NEVER: Self = Self {
        vector: L2Vector::HIGHEST,
        source: Source { device: 0, entry: 0 },
        end: 0,
        references: 0,
        generation: 0,
        masking: Masking::Unmasked,
        request: 0,
    };

    /// Returns one of 32 numbers. Neighbours have different ones: the vectors of a device, the entries of a table.
    const fn bucket(vector: L2Vector, source: Source) -> usize {
        let mixed = source.device.wrapping_mul(5).wrapping_add(source.entry);
        (mixed.wrapping_add(vector.get() as u32) as usize) % SLOTS
    }
}
