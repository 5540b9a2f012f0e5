// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt sources that are rung once until they are answered, so that each ring has one answer
//! that can be told from all others: L2 took the vector, or the slot was found unmapped.

use std::collections::{HashMap, HashSet};

use proxy_irq::{L2Vector, Slot};

/// The vector of an interrupt that has none.
pub(crate) const JUNK: L2Vector = L2Vector::new(0xff).unwrap();

/// What has been rung and not answered, and what the answers were.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Rung, by CPU and reserved slot: the vector that L2 is to see.
    posted: HashMap<(usize, Slot), L2Vector>,
    /// Those of them that L1 has not taken yet.
    flying: HashSet<(usize, Slot)>,
    /// Sent by other CPUs, by CPU and vector.
    sent: HashSet<(usize, L2Vector)>,
    pub(crate) rung: u64,
    pub(crate) taken: u64,
    pub(crate) spurious: u64,
}

impl Account {
    /// The interrupt of `slot` has been taken by L1 of `cpu`.
    pub(crate) fn land(&mut self, cpu: usize, slot: Slot) {
        assert!(self.flying.remove(&(cpu, slot)), "taken without a ring");
    }

    /// `slot` of `cpu` was mapped to `vector`. What flies there must be the host's invention; it
    /// now counts as the new line's, which the host may ring as it likes.
    pub(crate) fn map(&mut self, cpu: usize, slot: Slot, vector: L2Vector) {
        if self.flying.contains(&(cpu, slot)) {
            let old = self.posted.insert((cpu, slot), vector);
            assert_eq!(old, Some(JUNK), "a slot was reused with a ring on its way");
        }
    }

    /// Returns whether a ring at `slot` of `cpu` is without an answer.
    pub(crate) fn is_open(&self, cpu: usize, slot: Slot) -> bool {
        self.posted.contains_key(&(cpu, slot))
    }

    /// Returns whether `vector` of `cpu` has been sent and not taken.
    pub(crate) fn is_sent(&self, cpu: usize, vector: L2Vector) -> bool {
        self.sent.contains(&(cpu, vector))
    }

    /// Returns whether L2 may still take `vector` on `cpu`.
    pub(crate) fn expects(&self, cpu: usize, vector: L2Vector) -> bool {
        Slot::all().any(|slot| self.posted.get(&(cpu, slot)) == Some(&vector))
    }

    pub(crate) fn ring(&mut self, cpu: usize, slot: Slot, vector: L2Vector) {
        assert_eq!(self.posted.insert((cpu, slot), vector), None);
        self.flying.insert((cpu, slot));
        self.rung += 1;
    }

    pub(crate) fn send(&mut self, cpu: usize, vector: L2Vector) {
        assert!(self.sent.insert((cpu, vector)));
        self.rung += 1;
    }

    /// L2 of `cpu` took `vector`.
    pub(crate) fn take(&mut self, cpu: usize, vector: L2Vector) {
        self.taken += 1;
        if self.sent.remove(&(cpu, vector)) {
            return;
        }
        let slot = Slot::all().find(|slot| self.posted.get(&(cpu, *slot)) == Some(&vector));
        assert!(slot.is_some(), "CPU {cpu} took {vector:?}, which nobody rang");
        slot.map(|slot| self.posted.remove(&(cpu, slot)));
    }

    /// The slots `bits` of `cpu` took interrupts while unmapped.
    pub(crate) fn reject(&mut self, cpu: usize, bits: u32) {
        for slot in Slot::in_bits(bits) {
            assert!(self.posted.remove(&(cpu, slot)).is_some(), "spurious without a ring");
            self.spurious += 1;
        }
    }

    /// Returns whether everything has been answered.
    pub(crate) fn is_settled(&self) -> bool {
        self.posted.is_empty() && self.sent.is_empty()
    }
}
