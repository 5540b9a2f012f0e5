// SPDX-License-Identifier: MIT OR Apache-2.0
//! Slots that change between the VIRR and the banks while interrupts come in and others post.

use core::cell::Cell;

use loom::{sync::Arc, thread};
use proxy_irq::{ApicMode, Register, Relay, RelayBlock, ReservedBlock, SlotWord, Source, Target};

use crate::{explore, fails_under_loom, slot, told, vector};

/// The owner's part in each model: it changes the mode between interrupts, drains, and L2 takes what
/// came; `change` is how it changes the mode.
fn changes_of_mode(change: fn(&RelayBlock, ApicMode)) {
    let blocks = Arc::new([RelayBlock::new()]);
    let mut books = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
    let mapping = books.map(0, vector(0x51), Source { device: 1, entry: 0 }).unwrap();
    assert_eq!(mapping.reserved_vector().get(), 0x40);
    let poster = {
        let blocks = Arc::clone(&blocks);
        thread::spawn(move || {
            let _ = blocks[0].post_trusted(vector(0x52));
            let _ = blocks[0].post_trusted(vector(0x91));
        })
    };
    let block = &blocks[0];
    let (taken, rvi) = (Cell::new([0u32; 256]), Cell::new(0));
    let drain_and_deliver = || {
        rvi.set(told::drain(&block, rvi.get()).rvi);
        while let Some(vector) = block.page().deliverable() {
            assert!(rvi.get() >= vector.get(), "the RVI hides a vector");
            block.page().deliver(vector);
            block.page().end_of_interrupt();
            let mut counts = taken.get();
            counts[usize::from(vector.get())] += 1;
            taken.set(counts);
        }
        rvi.set(0);
        block.resume();
    };
    block.service(|| 0);
    for mode in [ApicMode::Offload, ApicMode::Banked, ApicMode::Offload] {
        block.on_posted(slot(0));
        change(block, mode);
        drain_and_deliver();
    }
    poster.join().unwrap();
    drain_and_deliver();
    let counts = taken.get();
    assert_eq!(counts[0x51], 3, "an interrupt was lost or came twice");
    assert_eq!((counts[0x52], counts[0x91]), (1, 1), "a post was lost or came twice");
}

#[test]
fn a_change_of_mode_loses_nothing_and_doubles_nothing() {
    explore(|| changes_of_mode(RelayBlock::set_mode));
}

/// A mode change that throws away what pends in the page, as one that starts from a fresh page would.
#[test]
fn control_a_change_that_begins_with_an_empty_page_loses_an_interrupt() {
    fails_under_loom("an interrupt was lost", || {
        changes_of_mode(|block, mode| {
            block.set_mode(mode);
            block.reset_apic();
        });
    });
}

/// The owner makes a slot direct while the control plane unmaps it: the unmap must prevail.
#[test]
fn an_unmap_prevails_over_a_change_of_mode() {
    explore(|| {
        let blocks = Arc::new([RelayBlock::new()]);
        let mut books = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
        let mapping = books.map(0, vector(0x51), Source { device: 1, entry: 0 }).unwrap();
        let owner = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || {
                blocks[0].service(|| 0);
                blocks[0].set_mode(ApicMode::Offload);
                blocks[0].on_posted(slot(0));
                blocks[0].service(|| 0);
                blocks[0].set_mode(ApicMode::Banked);
            })
        };
        let ticket = books.unmap(mapping).unwrap();
        if ticket.poll().is_ready() {
            assert_eq!(blocks[0].slot_word(slot(0)), SlotWord::unmapped(slot(0)));
        }
        owner.join().unwrap();
        blocks[0].service(|| 0);
        blocks[0].set_mode(ApicMode::Offload);
        assert_eq!(blocks[0].slot_word(slot(0)), SlotWord::unmapped(slot(0)));
    });
}

/// The owner makes a slot direct while the control plane withdraws it for want of an answer.
#[test]
fn a_quarantine_prevails_over_a_change_of_mode() {
    explore(|| {
        let blocks = Arc::new([RelayBlock::new()]);
        let mut books = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
        let mapping = books.map(0, vector(0x51), Source { device: 1, entry: 0 }).unwrap();
        let ticket = books.unmap(mapping).unwrap();
        let owner = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || {
                // Another mapping's service is not what it waits for: only the mode changes.
                blocks[0].set_mode(ApicMode::Offload);
                blocks[0].set_mode(ApicMode::Banked);
            })
        };
        books.quarantine(ticket);
        owner.join().unwrap();
        let target = blocks[0].slot_word(slot(0)).target();
        assert_eq!(target, Some(Target::Unmapped(slot(0))), "a withdrawn slot came back");
        blocks[0].on_posted(slot(0));
        let _ = told::drain(&blocks[0], 0);
        assert_eq!(blocks[0].page().highest(Register::IRR), None);
    });
}

/// The same with a plain store in place of the compare-and-exchange.
#[test]
fn control_a_redirection_by_plain_store_brings_a_withdrawn_slot_back() {
    use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
    fails_under_loom("a withdrawn slot came back", || {
        let word = Arc::new(AtomicU64::new(1));
        let owner = {
            let word = Arc::clone(&word);
            thread::spawn(move || {
                if word.load(Relaxed) == 1 {
                    word.store(2, Relaxed);
                }
            })
        };
        word.store(0, Relaxed);
        owner.join().unwrap();
        assert_eq!(word.load(Relaxed), 0, "a withdrawn slot came back");
    });
}
