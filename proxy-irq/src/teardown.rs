// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a device: all its mappings on all CPUs, with one request to each CPU that has some.
//!
//! The requests are made together and waited for together, so a device that interrupts many CPUs goes
//! in the time of the slowest of them. A CPU is kicked only if it neither has served its request nor
//! will look by itself. The proof that no handler is half done is the mailbox's: the owner has executed
//! the request in its main context.

use core::task::Poll;

use crate::{
    block::RelayBlock, enter_state::Kick, map::Relay, reserved_vector::Slot, slot::SlotWord,
    sync::Ordering, unposted::Place,
};

/// The CPUs that have been asked to let a device's slots go.
#[derive(Debug)]
#[must_use = "until it is ready, the owners may still act on the old mappings"]
pub struct Teardown<'a, const CPUS: usize> {
    blocks: &'a [RelayBlock; CPUS],
    /// Whom, and the number of the request.
    asked: [(usize, u64); CPUS],
    total: usize,
    /// All from here on have served theirs.
    left: usize,
}

impl<const CPUS: usize> Teardown<'_, CPUS> {
    /// Returns whether all owners have made the change. Looks at one word of each CPU until it finds one
    /// that has not, and begins with that one when it is called again.
    ///
    /// Context: as [`Ticket::poll`](crate::mailbox::Ticket::poll).
    pub fn poll(&mut self) -> Poll<()> {
        let mut left = self.asked.iter().take(self.left);
        let last = left.rposition(|asked| !self.has_served(*asked));
        self.left = last.map_or(0, |last| last + 1);
        if self.left == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns how many CPUs were asked.
    #[must_use]
    pub const fn cpus(&self) -> usize {
        self.total
    }

    /// Iterates over the CPUs that must be kicked to see their request.
    pub fn kicks(&self) -> impl Iterator<Item = usize> {
        let left = self.asked.iter().take(self.left).filter(|asked| !self.has_served(**asked));
        left.map(|(cpu, _)| *cpu).filter(|cpu| self.blocks[*cpu].must_kick() == Kick::Needed)
    }

    #[inline]
    fn has_served(&self, (cpu, number): (usize, u64)) -> bool {
        self.blocks[cpu].has_served(number)
    }
}

impl<'a, const CPUS: usize> Relay<'a, CPUS> {
    /// Unmaps everything that `device` has, whatever references there are, and forgets what it was
    /// refused. Handles of it are stale from now on.
    pub fn unmap_device(&mut self, device: u32) -> Teardown<'a, CPUS> {
        let mut teardown =
            Teardown { blocks: self.blocks, asked: [(0, 0); CPUS], total: 0, left: 0 };
        for (cpu, block) in self.blocks.iter().enumerate() {
            self.unposted[cpu].forget_device(device);
            let slots = self.books[cpu].slots_of(device);
            if slots == 0 {
                continue;
            }
            let number = block.request_unmapped(slots);
            for slot in Slot::in_bits(slots) {
                let end = self.books[cpu].slot(slot).end;
                self.books[cpu].leave(slot, number);
                if end != cpu {
                    self.unposted[end].leave(Place { cpu, slot });
                }
            }
            teardown.asked[teardown.total] = (cpu, number);
            teardown.total += 1;
        }
        teardown.left = teardown.total;
        teardown
    }

    /// Ends a teardown: frees what its owners have let go, and gives up waiting for the others, whose
    /// slots are out of use until they answer after all.
    pub fn finish(&mut self, teardown: Teardown<'a, CPUS>) {
        for asked in teardown.asked.into_iter().take(teardown.total) {
            let (cpu, number) = asked;
            if teardown.has_served(asked) {
                self.reclaim(cpu);
            } else {
                Slot::all().for_each(|slot| self.quarantine_slot(cpu, slot, number));
            }
        }
    }
}

impl RelayBlock {
    /// Asks the owner to unmap `slots`, all by one request.
    fn request_unmapped(&self, slots: u32) -> u64 {
        for slot in Slot::in_bits(slots) {
            let word = SlotWord::unmapped(slot).raw();
            self.mailbox.wanted[slot.index()].store(word, Ordering::Relaxed);
        }
        self.mailbox.slots.fetch_or(slots, Ordering::Release);
        self.request()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    extern crate std;
    use std::{boxed::Box, vec::Vec};

    use super::*;
    use crate::{
        mapping::{Mode, Source},
        reserved_vector::{L2Vector, ReservedBlock},
    };

    const CPUS: usize = 4;

    fn vector(number: u8) -> L2Vector {
        L2Vector::new(number).unwrap()
    }

    fn blocks() -> Box<[RelayBlock; CPUS]> {
        Box::new([const { RelayBlock::new() }; CPUS])
    }

    /// Two devices, eight interrupts each on each of the first three CPUs.
    fn relay(blocks: &[RelayBlock; CPUS]) -> Relay<'_, CPUS> {
        let mut relay = Relay::new(blocks, ReservedBlock::new(0x40).unwrap());
        for (cpu, block) in blocks.iter().enumerate().take(3) {
            for entry in 0..8 {
                for device in [1, 2] {
                    let _ = relay.map(cpu, vector(0x51), Source { device, entry }).unwrap();
                }
            }
            block.service(|| 0);
        }
        relay
    }

    fn modes(relay: &Relay<'_, CPUS>, device: u32) -> Vec<Mode> {
        let listed = relay.mappings().filter(|listed| listed.source.device == device);
        listed.map(|listed| listed.mode).collect()
    }

    #[test]
    fn a_device_goes_by_one_request_to_each_cpu_that_has_it() {
        let blocks = blocks();
        let mut relay = relay(&blocks);
        assert!(blocks[1].try_enter_l2().is_ok());
        assert!(blocks[3].try_enter_l2().is_ok());
        let mut teardown = relay.unmap_device(1);
        assert!(teardown.kicks().eq([1]));
        assert_eq!(teardown.cpus(), 3);
        for cpu in [0, 2] {
            blocks[cpu].service(|| 0);
        }
        assert!(teardown.poll().is_pending());
        assert!(teardown.kicks().eq([1]), "those that have served are not kicked");
        blocks[1].resume();
        assert_eq!(teardown.kicks().count(), 0);
        blocks[1].service(|| 0);
        assert!(teardown.poll().is_ready());
        relay.finish(teardown);
        assert_eq!(modes(&relay, 1), []);
        assert_eq!(modes(&relay, 2), [Mode::Posted; 24]);
        for block in blocks.iter().take(3) {
            Slot::all().for_each(|slot| block.on_posted(slot));
            assert_eq!(crate::told::drain(block, 0).spurious.count_ones(), 24);
        }
        assert!(relay.unmap_device(1).poll().is_ready());
    }

    #[test]
    fn a_silent_cpu_keeps_its_slots_in_quarantine() {
        let blocks = blocks();
        let mut relay = relay(&blocks);
        let mut teardown = relay.unmap_device(1);
        blocks[0].service(|| 0);
        blocks[2].service(|| 0);
        assert!(teardown.poll().is_pending());
        relay.finish(teardown);
        assert_eq!(modes(&relay, 1), [Mode::Quarantined; 8]);
        assert_eq!(blocks[1].figures().quarantined, 8);
        let again = Source { device: 1, entry: 0 };
        assert!(relay.map(0, vector(0x51), again).is_ok());
        assert!(relay.map(1, vector(0x51), again).is_err());
        blocks[1].service(|| 0);
        assert!(relay.map(1, vector(0x51), again).is_ok());
    }

    #[test]
    fn what_another_cpu_passes_on_goes_too() {
        let blocks = blocks();
        let mut relay = relay(&blocks);
        relay.lend_among(CPUS);
        for entry in 8..32 {
            let _ = relay.map(0, vector(0x52), Source { device: 3, entry }).unwrap();
        }
        let remote = relay.mappings().filter(|listed| listed.mode == Mode::Remote).count();
        assert_eq!(remote, 8);
        let mut teardown = relay.unmap_device(3);
        assert_eq!(teardown.kicks().count(), 0);
        blocks.iter().for_each(|block| block.service(|| 0));
        assert!(teardown.poll().is_ready());
        relay.finish(teardown);
        blocks[0].service(|| 0);
        let _ = blocks[0].post_remote(vector(0x52));
        let _ = blocks[0].drain(0);
        assert_eq!(blocks[0].filtered(vector(0x52)), 1);
    }
}
