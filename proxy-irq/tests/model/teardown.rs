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

/// All that a device has goes at once. CPU 1 asks for it and serves its own part, as it does while it waits; CPU 0
/// takes interrupts and serves meanwhile. What the vector of a CPU can be used for again is up to `is_over`.
fn a_device_goes(is_over: fn(&mut Relay<'_, 2>, usize) -> bool) {
    let blocks = Arc::new([RelayBlock::new(), RelayBlock::new()]);
    let over = Arc::new(AtomicBool::new(false));
    let mut books = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
    for cpu in [0, 1] {
        let _ = books.map(cpu, vector(0x51), Source { device: 1, entry: 0 }).unwrap();
    }
    let other = {
        let (blocks, over) = (Arc::clone(&blocks), Arc::clone(&over));
        thread::spawn(move || {
            let block = &blocks[0];
            let interrupt = || {
                let old = block.slot_word(slot(0)) == SlotWord::banked(vector(0x51));
                block.on_posted(slot(0));
                assert!(!(old && over.load(Acquire)), "an old mapping was relayed");
            };
            interrupt();
            block.service(|| 0);
            interrupt();
        })
    };
    let mut teardown = books.unmap_device(1);
    assert_eq!(teardown.cpus(), 2);
    blocks[1].service(|| 0);
    let _ = teardown.poll();
    books.finish(teardown);
    assert!(is_over(&mut books, 1), "CPU 1 has served");
    over.store(is_over(&mut books, 0), Release);
    other.join().unwrap();
    // If CPU 0 was silent, it answers at last.
    blocks[0].service(|| 0);
    assert_ne!(blocks[0].slot_word(slot(0)), SlotWord::banked(vector(0x51)));
    let again = books.map(0, vector(0x51), Source { device: 3, entry: 0 });
    assert!(again.is_ok(), "a slot is lost");
}

/// Nobody waits: an owner that has not answered yet is a silent one, whose vector cannot be had meanwhile.
#[test]
fn what_silent_owners_have_of_a_device_cannot_be_mapped_again() {
    explore_bounded(2, || {
        a_device_goes(|books, cpu| {
            let other = Source { device: 2, entry: 0 };
            books.map(cpu, vector(0x51), other).is_ok()
        });
    });
}

#[test]
fn control_silence_that_is_taken_for_the_end_of_a_device() {
    fails_under_loom("an old mapping was relayed", || a_device_goes(|_, _| true));
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
