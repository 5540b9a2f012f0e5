// SPDX-License-Identifier: MIT OR Apache-2.0
//! The monitor page: a bit that the host looks at now and then, in place of a call that costs an exit.
//!
//! | offset | field |
//! |---|---|
//! | 0 | trigger state: bit *g* enables group *g*, of four |
//! | 8 | trigger groups: for each, 32 bits *pending* and 32 bits *armed* |
//! | 64 | next check times, 4 × 32 × 4 bytes |
//! | 576 | latencies, 4 × 32 × 2 bytes |
//! | 1088 | parameters, 4 × 32 × 8 bytes |
//!
//! A client sets *pending* bits of the page that is its own to write; all else is the host's. A host
//! that does not look delays its own devices, and no one else's.
//!
//! # Orderings
//!
//! The bit is set by one locked step with Release: what was written into the ring before is there
//! when the host sees the bit. It stands in for the call of the ring's signalling rule, whose fence
//! comes before it.
//!
//! Spec: VMBUS "Monitor page".

use crate::{PAGE_SIZE, SharedMemory, sync::Ordering};

/// Which of the 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MonitorId(u8);

/// The page whose pending bits the client sets.
#[derive(Clone, Copy, Debug)]
pub struct MonitorPage<M>(M);

/// Offset of the first group, and the bytes of each.
const GROUPS: usize = 8;
const GROUP: usize = 8;

impl MonitorId {
    /// Checks that there is such a bit.
    #[must_use]
    pub const fn new(id: u8) -> Option<Self> {
        if id < 128 { Some(Self(id)) } else { None }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    fn pending_word(self) -> usize {
        usize::from(self.0 >> 5).saturating_mul(GROUP).saturating_add(GROUPS)
    }
}

impl<M: SharedMemory> MonitorPage<M> {
    /// Takes the page, which is `None` if it is smaller than one.
    #[must_use]
    pub fn new(page: M) -> Option<Self> {
        (page.size() >= PAGE_SIZE).then_some(Self(page))
    }

    /// Sets the bit. Returns whether it was set before, in which case the host has not looked since.
    pub fn trigger(&self, id: MonitorId) -> Before {
        let bit = 1 << (id.0 & 31);
        let before = self.0.fetch_or(id.pending_word(), bit, Ordering::Release);
        if before & bit == 0 { Before::Clear } else { Before::Set }
    }
}

/// What a bit was before it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Clear: the host is told something new.
    Clear,
    /// Set: the host has not looked since.
    Set,
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    extern crate alloc;

    use alloc::vec::Vec;
    use core::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn each_id_has_a_pending_bit_of_its_own() {
        let memory: Vec<_> = (0..1024).map(|_| AtomicU32::new(0)).collect();
        let page = MonitorPage::new(&memory[..]).unwrap();
        assert_eq!(MonitorId::new(128), None);
        for id in 0..128 {
            let id = MonitorId::new(id).unwrap();
            assert_eq!(page.trigger(id), Before::Clear);
            assert_eq!(page.trigger(id), Before::Set);
        }
        let words: Vec<_> = memory.iter().map(|word| word.load(Ordering::Relaxed)).collect();
        // Groups are at 8, 16, 24 and 32; the second word of each says what is armed.
        assert_eq!(words[..11], [0, 0, !0, 0, !0, 0, !0, 0, !0, 0, 0]);
        assert!(words[11..].iter().all(|word| *word == 0));
    }

    #[test]
    fn the_id_is_group_times_32_plus_bit() {
        let memory: Vec<_> = (0..1024).map(|_| AtomicU32::new(0)).collect();
        MonitorPage::new(&memory[..]).unwrap().trigger(MonitorId::new(67).unwrap());
        assert_eq!(memory.load(24, Ordering::Relaxed), 8);
    }
}
