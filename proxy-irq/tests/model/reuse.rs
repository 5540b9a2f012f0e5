// SPDX-License-Identifier: MIT OR Apache-2.0
//! A slot that goes from one mapping to the next: what the old device sent never arrives as the new
//! one's.

use core::cell::Cell;

use loom::{sync::Arc, thread};
use proxy_irq::{MapError, Register, Relay, RelayBlock, ReservedBlock, Source};

use crate::{explore, fails_under_loom, slot, told, vector};

/// The owner of a block as the hardware drives it: an interrupt pends in L1's IRR until it is taken.
struct Owner<'a> {
    block: &'a RelayBlock,
    irr: Cell<u32>,
}

impl Owner<'_> {
    /// Takes the interrupt that pends, if one does.
    fn interrupt(&self) {
        if self.irr.replace(0) != 0 {
            self.block.on_posted(slot(0));
        }
    }

    fn drain(&self) -> u32 {
        told::drain(&self.block, 0).spurious
    }
}

/// Maps and unmaps a slot and maps it anew for another device, while its owner has an interrupt of the
/// first device on its way, takes it between any two steps, and reports what pends as `seen` makes
/// of it.
fn map_unmap_map(seen: fn(u32) -> u32) {
    let blocks = Arc::new([RelayBlock::new()]);
    let mut books = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
    let source = |entry| Source { device: 1, entry };
    let old = books.map(0, vector(0x51), source(0)).unwrap();
    // All other slots are taken, so the first is the one to be reused.
    for entry in 1..32 {
        let _kept = books.map(0, vector(0x52), source(entry)).unwrap();
    }
    let owner = {
        let blocks = Arc::clone(&blocks);
        thread::spawn(move || {
            let block = &blocks[0];
            let owner = Owner { block, irr: Cell::new(1) };
            block.service(|| seen(owner.irr.get()));
            owner.interrupt();
            let mut spurious = owner.drain();
            block.service(|| seen(owner.irr.get()));
            spurious |= owner.drain();
            let arrived = |number| {
                owner.block.page().vectors(Register::IRR).any(|other| other == vector(number))
            };
            assert!(!arrived(0x91), "an old interrupt came out as the new mapping's");
            assert_ne!(arrived(0x51), spurious == 1, "an interrupt was lost or came twice");
        })
    };
    let _ticket = books.unmap(old).unwrap();
    match books.map(0, vector(0x91), source(99)) {
        Ok(new) => assert_eq!(new.reserved_vector().get(), 0x40),
        Err(error) => assert_eq!(error, MapError::BlockFull),
    }
    owner.join().unwrap();
}

#[test]
fn a_reused_slot_never_relays_what_was_sent_before() {
    explore(|| map_unmap_map(|irr| irr));
}

#[test]
fn control_an_owner_that_does_not_look_at_the_irr_mixes_two_mappings() {
    fails_under_loom("an old interrupt came out as the new", || map_unmap_map(|_| 0));
}
