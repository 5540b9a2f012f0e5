// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts that one CPU takes for another, while their mapping is unmapped.

use loom::{sync::Arc, thread};
use proxy_irq::{Kick, Mapping, Register, Relay, RelayBlock, ReservedBlock, Source, Ticket};

use crate::{explore_bounded, fails_under_loom, slot, told, vector};

/// Passes on what the forward bank of `block` holds, as the owner does.
fn pass_on(blocks: &[RelayBlock; 2], slots: u32) {
    for at in proxy_irq::Slot::in_bits(slots) {
        let Some((cpu, vector)) = blocks[1].forward(at) else { continue };
        let _: Kick = blocks[cpu].post_remote(vector);
    }
}

/// Unmaps a mapping of CPU 0 that CPU 1 takes, while CPU 1 takes an interrupt of it; `before` is what
/// CPU 1 does before it serves. The vector leaves CPU 0's filter when CPU 1 has let go.
fn unmapped_while_passed_on(before: fn(&[RelayBlock; 2])) {
    let blocks = Arc::new([RelayBlock::new(), RelayBlock::new()]);
    let mut books = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
    books.lend_among(2);
    let source = |entry| Source { device: 1, entry };
    for entry in 0..32 {
        let _kept = books.map(0, vector(0x52), source(entry)).unwrap();
    }
    let remote: Mapping = books.map(0, vector(0x91), source(99)).unwrap();
    assert_eq!((remote.message_cpu(), remote.cpu()), (1, 0));
    let taker = {
        let blocks = Arc::clone(&blocks);
        thread::spawn(move || {
            let block = &blocks[1];
            block.on_posted(slot(0));
            before(&blocks);
            block.service(|| 0);
            pass_on(&blocks, told::drain(&block, 0).forwarded);
        })
    };
    let ticket = books.unmap(remote).unwrap();
    let last: Option<Ticket<'_>> =
        if ticket.poll().is_ready() { books.conclude(&ticket) } else { None };
    if last.is_some() {
        // CPU 0 serves the withdrawal: what was posted before still passes.
        blocks[0].service(|| 0);
    }
    taker.join().unwrap();
    blocks[1].service(|| 0);
    let spurious = told::drain(&blocks[1], 0).spurious;
    let _ = told::drain(&blocks[0], 0);
    let arrived = blocks[0].page().vectors(Register::IRR).any(|other| other == vector(0x91));
    let counted = blocks[1].figures().spurious == 1;
    assert!(arrived || counted || spurious != 0, "an interrupt was lost");
    assert_eq!(blocks[0].filtered(vector(0x91)), 0, "an interrupt was lost in the filter");
}

#[test]
fn an_interrupt_that_is_passed_on_survives_the_unmap_of_its_mapping() {
    explore_bounded(2, || {
        unmapped_while_passed_on(|blocks| pass_on(blocks, blocks[1].take_forwarded()));
    });
}

#[test]
fn control_an_owner_that_serves_before_it_passes_on_loses_one() {
    fails_under_loom("an interrupt was lost", || unmapped_while_passed_on(|_| ()));
}
