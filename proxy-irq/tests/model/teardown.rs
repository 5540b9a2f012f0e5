// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device leaves all CPUs at once: all requests first, one kick for each CPU that needs one, and then
//! a look at each answer.

use loom::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
};
use proxy_irq::{Kick, Relay, RelayBlock, ReservedBlock, SlotWord, Source};

use crate::{explore_bounded, fails_under_loom, slot, vector};

/// Two CPUs with a mapping each; one of them is in L2 for good, unless it is kicked: it never comes to
/// its loop by itself. `kick` is what the control plane does about that.
fn teardown(kick: fn(&AtomicBool)) {
    let blocks = Arc::new([RelayBlock::new(), RelayBlock::new()]);
    let kicked = Arc::new(AtomicBool::new(false));
    assert!(blocks[1].try_enter_l2().is_ok());
    let mut books = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
    let mappings =
        [0, 1].map(|cpu| books.map(cpu, vector(0x51), Source { device: 1, entry: 0 }).unwrap());
    let awake = {
        let blocks = Arc::clone(&blocks);
        thread::spawn(move || {
            blocks[0].service(|| 0);
            let left = blocks[0].try_enter_l2().is_ok();
            assert!(!left || blocks[0].enter_state() != proxy_irq::EnterState::Running);
            blocks[0].resume();
            blocks[0].on_posted(slot(0));
            blocks[0].service(|| 0);
        })
    };
    let asleep = {
        let (blocks, kicked) = (Arc::clone(&blocks), Arc::clone(&kicked));
        thread::spawn(move || {
            if kicked.load(Acquire) {
                // The kick ends L2's turn; only then the loop is reached.
                blocks[1].resume();
                blocks[1].service(|| 0);
            }
        })
    };
    let tickets = mappings.map(|mapping| books.unmap(mapping).unwrap());
    for ticket in &tickets {
        if ticket.kick() == Kick::Needed && ticket.cpu() == 1 {
            kick(&kicked);
        }
    }
    for ticket in &tickets {
        if ticket.poll().is_ready() {
            let block = &blocks[ticket.cpu()];
            assert_eq!(block.slot_word(slot(0)), SlotWord::unmapped(slot(0)));
        }
    }
    awake.join().unwrap();
    asleep.join().unwrap();
    // The interrupt that is the kick arrives at last, if it has not yet.
    if kicked.load(Acquire) {
        blocks[1].resume();
        blocks[1].service(|| 0);
    }
    blocks[0].service(|| 0);
    for ticket in &tickets {
        assert!(ticket.poll().is_ready(), "a CPU holds on to the device");
        let block = &blocks[ticket.cpu()];
        assert_eq!(block.slot_word(slot(0)), SlotWord::unmapped(slot(0)));
    }
}

#[test]
fn a_device_leaves_all_cpus_with_one_kick_for_the_one_in_l2() {
    explore_bounded(2, || teardown(|kicked| kicked.store(true, Release)));
}

#[test]
fn control_without_the_kick_a_cpu_in_l2_holds_on() {
    fails_under_loom("a CPU holds on to the device", || teardown(|_| ()));
}

/// A CPU that was only seen to be in L2 is taken for one that has let go.
#[test]
fn control_a_cpu_in_l2_is_no_quiescent_one() {
    fails_under_loom("an interrupt met a slot that was thought free", || {
        let (in_l2, slot) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicU32::new(1)));
        let owner = {
            let (in_l2, slot) = (Arc::clone(&in_l2), Arc::clone(&slot));
            thread::spawn(move || {
                // The interrupt comes out of L2 and reads the slot before the loop sees anything.
                in_l2.store(0, Relaxed);
                slot.load(Relaxed)
            })
        };
        let thought_free = in_l2.load(Relaxed) == 1;
        slot.store(0, Relaxed);
        let met = owner.join().unwrap();
        assert!(!(thought_free && met == 1), "an interrupt met a slot that was thought free");
    });
}
