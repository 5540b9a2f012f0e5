// SPDX-License-Identifier: MIT OR Apache-2.0
//! After an unmap is over, no interrupt handler relays the old mapping.

use loom::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
};
use proxy_irq::{Kick, Register, Relay, RelayBlock, ReservedBlock, SlotWord, Source, Target};

use crate::{explore, fails_under_loom, slot, told, vector};

const SOURCE: Source = Source { device: 1, entry: 0 };

fn relay<const CPUS: usize>(blocks: &[RelayBlock; CPUS]) -> Relay<'_, CPUS> {
    Relay::new(blocks, ReservedBlock::new(0x40).unwrap())
}

#[test]
fn no_handler_relays_what_is_unmapped() {
    explore(|| {
        let (blocks, over) = (Arc::new([RelayBlock::new()]), Arc::new(AtomicBool::new(false)));
        let requester = {
            let (blocks, over) = (Arc::clone(&blocks), Arc::clone(&over));
            thread::spawn(move || {
                let mut relay = relay(&blocks);
                let mapping = relay.map(0, vector(0x51), SOURCE).unwrap();
                let ticket = relay.unmap(mapping).unwrap();
                // A vector for L2 itself, at the same time.
                let _ = blocks[0].post_trusted(vector(0x91));
                while ticket.poll().is_pending() {
                    thread::yield_now();
                }
                over.store(true, Release);
            })
        };
        let block = &blocks[0];
        let interrupt = || {
            let word = block.slot_word(slot(0));
            block.on_posted(slot(0));
            let old = word.target() == Some(Target::Banked(vector(0x51)));
            assert!(!(old && over.load(Acquire)), "an old mapping was relayed");
        };
        interrupt();
        while !over.load(Acquire) {
            block.service(|| 0);
            interrupt();
            let _ = told::drain(&block, 0);
            thread::yield_now();
        }
        requester.join().unwrap();
        let _ = told::drain(&block, 0);
        assert_eq!(block.slot_word(slot(0)), SlotWord::unmapped(slot(0)));
        assert!(block.page().read_bank(Register::IRR, 4) != 0, "the other vector was lost");
        block.on_posted(slot(0));
        assert_eq!(told::drain(&block, 0).spurious, 1);
    });
}

#[test]
fn an_owner_in_l2_is_kicked_and_serves() {
    explore(|| {
        let blocks = Arc::new([RelayBlock::new()]);
        let (kicked, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let requester = {
            let (blocks, kicked, over) =
                (Arc::clone(&blocks), Arc::clone(&kicked), Arc::clone(&over));
            thread::spawn(move || {
                let mut relay = relay(&blocks);
                let mapping = relay.map(0, vector(0x51), SOURCE).unwrap();
                let ticket = relay.unmap(mapping).unwrap();
                if ticket.kick() == Kick::Needed {
                    kicked.store(true, Release);
                }
                while ticket.poll().is_pending() {
                    thread::yield_now();
                }
                over.store(true, Release);
            })
        };
        let block = &blocks[0];
        while !over.load(Acquire) {
            block.service(|| 0);
            if block.try_enter_l2().is_ok() {
                // In L2 until the kick comes; nothing else ends it.
                while !kicked.load(Acquire) && !over.load(Acquire) {
                    thread::yield_now();
                }
                block.resume();
            }
            thread::yield_now();
        }
        requester.join().unwrap();
    });
}

#[test]
fn a_mask_loses_nothing() {
    explore(|| {
        let blocks = Arc::new([RelayBlock::new()]);
        let live = relay(&blocks).map(0, vector(0x51), SOURCE).unwrap();
        assert_eq!(live.reserved_vector().get(), 0x40);
        let requester = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || {
                // A book of its own, which begins with the same mapping in the same slot.
                let mut relay = relay(&blocks);
                let mapping = relay.map(0, vector(0x51), SOURCE).unwrap();
                let _ = relay.mask(&mapping).unwrap();
                let _ = relay.unmask(&mapping).unwrap();
            })
        };
        let block = &blocks[0];
        for _ in 0..2 {
            block.on_posted(slot(0));
            block.service(|| 0);
            let _ = block.drain(0);
            if let Some(vector) = block.page().deliverable() {
                block.page().deliver(vector);
                block.resume();
            }
        }
        requester.join().unwrap();
        block.service(|| 0);
        let _ = block.drain(0);
        let relayed = block.figures().relayed;
        assert!((1..=2).contains(&relayed), "{relayed}");
        assert_eq!(block.figures().spurious, 0);
        block.on_posted(slot(0));
        assert_eq!(told::drain(&block, 0).spurious, 0);
    });
}

/// Two owners, each of which unmaps at the other and calls `turn` while it waits.
fn two_owners_unmap_at_each_other(turn: fn(&RelayBlock)) {
    let blocks = Arc::new([RelayBlock::new(), RelayBlock::new()]);
    let finished = Arc::new(AtomicU32::new(0));
    let owner = |own: usize| {
        let (blocks, finished) = (Arc::clone(&blocks), Arc::clone(&finished));
        move || {
            // Each owner's book knows the other's block only, so they need no common lock.
            let mut relay = relay(&blocks);
            let mapping = relay.map(1 - own, vector(0x51), SOURCE).unwrap();
            let ticket = relay.unmap(mapping).unwrap();
            // A yield lets the other owner go on, so a bounded number of turns is for ever.
            let mut turns = 0;
            while ticket.poll().is_pending() {
                assert!(turns < 20, "an owner waits for ever");
                turns += 1;
                turn(&blocks[own]);
                thread::yield_now();
            }
            finished.fetch_add(1, Release);
            while finished.load(Acquire) != 2 {
                blocks[own].service(|| 0);
                thread::yield_now();
            }
            assert_eq!(blocks[own].slot_word(slot(0)), SlotWord::unmapped(slot(0)));
        }
    };
    let other = thread::spawn(owner(1));
    owner(0)();
    other.join().unwrap();
}

#[test]
fn two_owners_that_unmap_at_each_other_both_finish() {
    explore(|| two_owners_unmap_at_each_other(|own| own.service(|| 0)));
}

#[test]
fn control_two_owners_that_only_wait_never_finish() {
    fails_under_loom("an owner waits for ever", || two_owners_unmap_at_each_other(|_| ()));
}

#[test]
fn control_an_unmap_that_does_not_wait_is_relayed() {
    fails_under_loom("an old mapping was relayed", || {
        let state = Arc::new((AtomicU64::new(1), AtomicBool::new(false)));
        let requester = {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                state.0.store(0, Release);
                state.1.store(true, Release);
            })
        };
        let old = state.0.load(Relaxed) == 1;
        assert!(!(old && state.1.load(Acquire)), "an old mapping was relayed");
        requester.join().unwrap();
    });
}
