// SPDX-License-Identifier: MIT OR Apache-2.0
//! The event-flags page: 2048 bits a source, set by the host, cleared here.
//!
//! # Orderings
//!
//! A word is looked at with a relaxed load, and taken by a swap with Acquire, which pairs with the
//! host's setting of the bit: what the host wrote into a ring before is seen after. The swap is one
//! locked step, so a bit that the host sets meanwhile is either in it or stays for the next time.
//!
//! Spec: TLFS "SynIC Event Flags Page".

use super::msr::SintIndex;
use crate::{SharedMemory, sync::Ordering};

/// Flags of a source.
pub const FLAGS: u16 = 2048;

/// Bytes of the flags of one source.
const SOURCE: usize = 256;

/// The event-flags page of one CPU; used by that CPU alone.
#[derive(Clone, Copy, Debug)]
pub struct EventFlags<M>(M);

impl<M: SharedMemory> EventFlags<M> {
    /// Takes the page, which is `None` if it is smaller than one.
    #[must_use]
    pub fn new(page: M) -> Option<Self> {
        (page.size() >= crate::PAGE_SIZE).then_some(Self(page))
    }

    /// Takes all flags of a source and calls `on_flag` for each, lowest first. Bounded: at most
    /// [`FLAGS`] calls, whatever the host does meanwhile.
    pub fn take(&self, sint: SintIndex, mut on_flag: impl FnMut(u16)) {
        let source = sint.as_usize().saturating_mul(SOURCE);
        for (first, offset) in (0_u16..).step_by(32).zip((0..SOURCE).step_by(4)) {
            let word = source.saturating_add(offset);
            if self.0.load(word, Ordering::Relaxed) == 0 {
                continue;
            }
            let flags = self.0.swap(word, 0, Ordering::Acquire);
            (0..32_u16)
                .filter(|bit| flags >> bit & 1 != 0)
                .for_each(|bit| on_flag(first.saturating_add(bit)));
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    extern crate alloc;

    use alloc::vec::Vec;
    use core::sync::atomic::AtomicU32;

    use super::*;

    fn page() -> Vec<AtomicU32> {
        (0..1024).map(|_| AtomicU32::new(0)).collect()
    }

    fn taken(page: &[AtomicU32], sint: u8) -> Vec<u16> {
        let mut flags = Vec::new();
        EventFlags::new(page).unwrap().take(SintIndex::new(sint).unwrap(), |flag| flags.push(flag));
        flags
    }

    #[test]
    fn a_flag_is_taken_once_and_from_its_own_source() {
        let memory = page();
        let at = |sint: usize, flag: usize| sint * 256 + flag / 32 * 4;
        memory.fetch_or(at(7, 0), 1, Ordering::Relaxed);
        memory.fetch_or(at(7, 77), 1 << (77 % 32), Ordering::Relaxed);
        memory.fetch_or(at(7, 2047), 1 << 31, Ordering::Relaxed);
        memory.fetch_or(at(8, 3), 1 << 3, Ordering::Relaxed);
        assert_eq!(taken(&memory, 7), [0, 77, 2047]);
        assert_eq!(taken(&memory, 7), []);
        assert_eq!(taken(&memory, 8), [3]);
    }

    #[test]
    fn a_host_that_sets_everything_again_is_served_once_a_call() {
        let memory = page();
        let all = |memory: &[AtomicU32]| {
            memory.iter().for_each(|word| word.store(u32::MAX, Ordering::Relaxed));
        };
        all(&memory);
        let mut calls = 0;
        EventFlags::new(&memory[..]).unwrap().take(SintIndex::VMBUS, |_| {
            calls += 1;
            all(&memory);
        });
        assert_eq!(calls, FLAGS);
    }
}
