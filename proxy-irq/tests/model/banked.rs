// SPDX-License-Identifier: MIT OR Apache-2.0
//! That a slot may post into a bank is announced before it does, and taken back by the owner alone: the
//! drain never overlooks a bank that has a bit.

use loom::{
    sync::{
        Arc,
        atomic::{
            AtomicU32,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    thread,
};
use proxy_irq::{ApicMode, Register, Relay, RelayBlock, ReservedBlock, Source};

use crate::{explore, explore_bounded, fails_under_loom, slot, vector};

const FIRST: u32 = 1 << 0;
const SECOND: u32 = 1 << 1;

/// The announcements as the crate has them, with the word of the second slot.
#[derive(Default)]
struct Announced {
    banked: AtomicU32,
    flag: AtomicU32,
    second: AtomicU32,
}

impl Announced {
    fn announce(&self, slot: u32) {
        self.banked.fetch_or(slot, AcqRel);
        self.flag.fetch_or(1, AcqRel);
    }

    /// The control plane maps the second slot.
    fn publish(&self) {
        self.announce(SECOND);
        self.second.store(1, Release);
    }

    /// The owner has given the first slot another word.
    fn withdraw(&self) {
        self.withdraw_for_ever();
        if self.banked.load(Acquire) != 0 {
            self.flag.fetch_or(1, AcqRel);
        }
    }

    fn withdraw_for_ever(&self) {
        if self.banked.fetch_and(!FIRST, AcqRel) == FIRST {
            self.flag.fetch_and(0, AcqRel);
        }
    }

    /// An interrupt on the second slot, then a drain.
    fn post_and_drain(&self) {
        let posts_into_bank = self.second.load(Acquire) == 1;
        let looks_at_banks = self.flag.load(Relaxed) == 1;
        assert!(!posts_into_bank || looks_at_banks, "a bank was overlooked");
    }
}

fn one_comes_as_the_other_goes(publish: fn(&Announced), withdraw: fn(&Announced)) {
    let announced = Arc::new(Announced::default());
    announced.announce(FIRST);
    let publisher = {
        let announced = Arc::clone(&announced);
        thread::spawn(move || publish(&announced))
    };
    withdraw(&announced);
    announced.post_and_drain();
    publisher.join().unwrap();
    announced.post_and_drain();
}

#[test]
fn the_restated_announcement_is_right() {
    explore(|| one_comes_as_the_other_goes(Announced::publish, Announced::withdraw));
}

#[test]
fn control_an_owner_that_does_not_look_again_overlooks_a_bank() {
    fails_under_loom("a bank was overlooked", || {
        one_comes_as_the_other_goes(Announced::publish, Announced::withdraw_for_ever);
    });
}

#[test]
fn control_a_slot_that_is_announced_too_late_overlooks_a_bank() {
    let late = |announced: &Announced| {
        announced.second.store(1, Release);
        announced.announce(SECOND);
    };
    fails_under_loom("a bank was overlooked", move || {
        one_comes_as_the_other_goes(late, Announced::withdraw);
    });
}

/// The crate itself: while the owner redirects one slot into the VIRR, another is mapped, and interrupted.
#[test]
fn a_slot_that_is_mapped_while_another_is_redirected_is_drained() {
    explore_bounded(2, || {
        let blocks = Arc::new([RelayBlock::new()]);
        let mut control = relay(&blocks);
        let _ = control.map(0, vector(0x51), Source { device: 1, entry: 0 }).unwrap();
        let block = &blocks[0];
        block.set_mode(ApicMode::Offload);
        let publisher = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || {
                // A book of its own, in which the first slot is taken in the same way.
                let mut control = relay(&blocks);
                let entry = |entry| Source { device: 1, entry };
                let _ = control.map(0, vector(0x51), entry(0)).unwrap();
                let _ = control.map(0, vector(0x91), entry(1)).unwrap();
            })
        };
        block.service(|| 0);
        block.on_posted(slot(1));
        let _ = block.drain(0);
        let was_mapped = block.take_aside().spurious == 0;
        let pending = block.page().highest(Register::IRR);
        assert!(!was_mapped || pending == Some(vector(0x91)), "an interrupt is nowhere");
        publisher.join().unwrap();
        block.on_posted(slot(1));
        assert_eq!(block.drain(0).rvi, 0x91);
    });
}

fn relay(blocks: &[RelayBlock; 1]) -> Relay<'_, 1> {
    Relay::new(blocks, ReservedBlock::new(0x40).unwrap())
}
