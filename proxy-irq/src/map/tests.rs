// SPDX-License-Identifier: MIT OR Apache-2.0
extern crate std;
use std::{boxed::Box, collections::BTreeSet, vec::Vec};

use super::*;
use crate::{
    enter_state::{Kick, Work},
    mailbox::{Arrived, Filter, Messages},
    slot::Target,
    told::{self, Told},
    virtual_apic::Register,
};

type Blocks = [RelayBlock; 2];

const BASE: u8 = 0x40;

fn blocks() -> Box<Blocks> {
    Box::new([RelayBlock::new(), RelayBlock::new()])
}

fn relay(blocks: &Blocks) -> Relay<'_, 2> {
    Relay::new(blocks, ReservedBlock::new(BASE).unwrap())
}

fn vector(number: u8) -> L2Vector {
    L2Vector::new(number).unwrap()
}

fn source(entry: u32) -> Source {
    Source { device: 0x10, entry }
}

/// Maps sources `0..32` to vectors `0x50..0x70` of CPU 0.
fn fill(relay: &mut Relay<'_, 2>) -> Vec<Mapping> {
    (0..32).map(|entry| relay.map(0, vector(0x50 + entry), source(entry.into())).unwrap()).collect()
}

fn serve(block: &RelayBlock) {
    block.service(|| 0);
}

#[test]
fn a_mapping_is_live_before_its_vector_is_known() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mapping = relay.map(1, vector(0x51), source(0)).unwrap();
    assert_eq!(mapping.reserved_vector().get(), BASE);
    let word = blocks[1].slot_word(Slot::new(0).unwrap());
    assert_eq!(word.target(), Some(Target::Banked(vector(0x51))));
}

#[test]
fn each_cpu_has_all_slots_to_itself() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let reserved = |mappings: &[Mapping]| -> BTreeSet<u8> {
        mappings.iter().map(|mapping| mapping.reserved_vector().get()).collect()
    };
    let first = fill(&mut relay);
    assert!(reserved(&first).into_iter().eq(BASE..BASE + 32));
    let second: Vec<_> =
        (0..32).map(|entry| relay.map(1, vector(0x50), source(entry)).unwrap()).collect();
    assert!(reserved(&second).into_iter().eq(BASE..BASE + 32));
}

#[test]
fn a_full_block_is_a_clear_refusal_that_is_listed_and_ends() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mut mappings = fill(&mut relay);
    for _ in 0..2 {
        assert_eq!(relay.map(0, vector(0x90), source(99)), Err(MapError::BlockFull));
    }
    assert_eq!(blocks[0].figures().refused, 2);
    let refused = relay.mappings().find(|listed| listed.source == source(99)).unwrap();
    assert_eq!((refused.mode, refused.reason), (Mode::Refused, Reason::BlockFull));
    assert_eq!((refused.references, refused.reserved), (2, None));

    let ticket = relay.unmap(mappings.pop().unwrap()).unwrap();
    serve(&blocks[0]);
    assert!(ticket.poll().is_ready());
    let mapping = relay.map(0, vector(0x90), source(99)).unwrap();
    assert_eq!(mapping.generation(), 2);
    let listed: Vec<_> = relay.mappings().filter(|listed| listed.source == source(99)).collect();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].mode, listed[0].reason), (Mode::Posted, Reason::SlotFree));
}

#[test]
fn a_slot_lives_as_long_as_its_last_reference() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let first = relay.map(0, vector(0x51), source(0)).unwrap();
    let second = relay.map(0, vector(0x51), source(0)).unwrap();
    let other = relay.map(0, vector(0x51), source(1)).unwrap();
    assert_eq!(first, second);
    assert_ne!(first.reserved_vector(), other.reserved_vector());
    assert!(relay.unmap(first).unwrap().poll().is_ready());
    assert_eq!(blocks[0].slot_word(second.slot), SlotWord::banked(vector(0x51)));
    let slot = second.slot;
    let ticket = relay.unmap(second).unwrap();
    assert!(ticket.poll().is_pending());
    serve(&blocks[0]);
    assert!(ticket.poll().is_ready());
    assert_eq!(blocks[0].slot_word(slot), SlotWord::unmapped(slot));
    assert_eq!(blocks[0].slot_word(other.slot), SlotWord::banked(vector(0x51)));
}

#[test]
fn a_failed_retarget_leaves_the_old_mapping_alone() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let _full = fill(&mut relay);
    let old = relay.map(1, vector(0x51), source(77)).unwrap();
    assert_eq!(relay.retarget(&old, 0, vector(0x52)), Err(MapError::BlockFull));
    assert_eq!(relay.retarget(&old, 2, vector(0x52)), Err(MapError::NoSuchCpu));
    assert_eq!(blocks[1].slot_word(old.slot), SlotWord::banked(vector(0x51)));
    let new = relay.retarget(&old, 1, vector(0x52)).unwrap();
    assert_ne!(new.slot, old.slot);
    blocks[1].on_posted(old.slot);
    blocks[1].on_posted(new.slot);
    let apic = blocks[1].page();
    let _ = blocks[1].drain(0);
    assert!(apic.vectors(Register::IRR).map(L2Vector::get).eq([0x51, 0x52]));
}

#[test]
fn a_freed_slot_waits_its_turn() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mut reserved = Vec::new();
    for round in 0..64 {
        let mapping = relay.map(0, vector(0x51), source(round)).unwrap();
        reserved.push(mapping.reserved_vector().get() - BASE);
        let _ = relay.unmap(mapping).unwrap();
        serve(&blocks[0]);
    }
    assert!(reserved.into_iter().eq((0..32).chain(0..32)));
}

#[test]
fn the_slot_that_was_freed_last_is_reused_last() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mut mappings = fill(&mut relay);
    for freed in [5, 0] {
        let ticket = relay.unmap(mappings.remove(freed)).unwrap();
        serve(&blocks[0]);
        assert!(ticket.poll().is_ready());
        // The book learns of it now, as it does at any mapping.
        let _ = relay.map(0, vector(0x56), source(6)).unwrap();
    }
    let mut next =
        || relay.map(0, vector(0x90), source(99)).unwrap().reserved_vector().get() - BASE;
    assert_eq!(next(), 5);
    let ticket = relay.unmap(mappings.remove(8)).unwrap();
    serve(&blocks[0]);
    assert!(ticket.poll().is_ready());
    let mut next =
        |entry| relay.map(0, vector(0x91), source(entry)).unwrap().reserved_vector().get() - BASE;
    assert_eq!([next(100), next(101)], [0, 10]);
}

#[test]
fn a_slot_is_not_reused_while_its_reserved_vector_pends() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mut mappings = fill(&mut relay);
    let last = mappings.pop().unwrap();
    let slot = last.slot;
    let ticket = relay.unmap(last).unwrap();
    blocks[0].service(|| slot.bit());
    assert!(ticket.poll().is_ready(), "the unmap is over, only the reuse is not");
    for _ in 0..3 {
        assert_eq!(relay.map(0, vector(0x90), source(99)), Err(MapError::BlockFull));
        blocks[0].service(|| slot.bit());
    }
    assert_eq!(relay.map(0, vector(0x90), source(99)), Err(MapError::BlockFull));
    blocks[0].on_posted(slot);
    serve(&blocks[0]);
    assert_eq!(told::drain(&blocks[0], 0).spurious, slot.bit());
    assert!(relay.map(0, vector(0x90), source(99)).is_ok());
}

#[test]
fn silence_is_quarantine_until_the_owner_answers() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mut mappings = fill(&mut relay);
    let last = mappings.pop().unwrap();
    let slot = last.slot;
    let ticket = relay.unmap(last).unwrap();
    relay.quarantine(ticket);
    assert_eq!(blocks[0].slot_word(slot), SlotWord::unmapped(slot));
    assert_eq!(blocks[0].figures().quarantined, 1);
    let listed = relay.mappings().find(|listed| listed.mode == Mode::Quarantined).unwrap();
    assert_eq!((listed.source, listed.reason), (source(31), Reason::OwnerSilent));
    assert_eq!(relay.map(0, vector(0x90), source(99)), Err(MapError::BlockFull));
    assert_eq!(relay.map(0, vector(0x6f), source(98)), Err(MapError::Quarantined));
    let refused = relay.mappings().find(|listed| listed.source == source(98)).unwrap();
    assert_eq!((refused.mode, refused.reason), (Mode::Refused, Reason::OwnerSilent));
    serve(&blocks[0]);
    assert!(relay.map(0, vector(0x6f), source(98)).is_ok());
}

#[test]
fn an_answer_in_time_makes_the_quarantine_void() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mapping = relay.map(0, vector(0x51), source(0)).unwrap();
    let ticket = relay.unmap(mapping).unwrap();
    serve(&blocks[0]);
    relay.quarantine(ticket);
    assert_eq!(blocks[0].figures().quarantined, 0);
    assert!(relay.mappings().all(|listed| listed.mode != Mode::Quarantined));
}

#[test]
fn a_masked_interrupt_waits_and_comes_once() {
    let blocks = blocks();
    let (mut relay, block) = (relay(&blocks), &blocks[0]);
    let (apic, mapping) = (block.page(), relay.map(0, vector(0x51), source(0)).unwrap());
    let _ = relay.mask(&mapping).unwrap();
    block.on_posted(mapping.slot);
    serve(block);
    assert_eq!(block.drain(0).rvi, 0x51, "posted before the mask took effect");
    apic.deliver(vector(0x51));
    block.resume();
    block.on_posted(mapping.slot);
    block.on_posted(mapping.slot);
    assert_eq!(told::drain(block, 0), Told::default());
    assert!(relay.mappings().all(|listed| listed.masking == Masking::Masked));
    let ticket = relay.unmask(&mapping).unwrap();
    serve(block);
    assert!(ticket.poll().is_ready());
    assert_eq!(block.drain(0).rvi, 0x51);
    apic.deliver(vector(0x51));
    block.resume();
    assert_eq!(told::drain(block, 0), Told::default());
    assert_eq!(block.figures().relayed, 2);
}

#[test]
fn what_was_held_ends_with_its_mapping() {
    let blocks = blocks();
    let (mut relay, block) = (relay(&blocks), &blocks[0]);
    let mapping = relay.map(0, vector(0x51), source(0)).unwrap();
    let slot = mapping.slot;
    let _ = relay.mask(&mapping).unwrap();
    serve(block);
    block.on_posted(slot);
    let _ = relay.unmap(mapping).unwrap();
    serve(block);
    for entry in 1..=32 {
        let _ = relay.map(0, vector(0x60), source(entry)).unwrap();
    }
    assert_eq!(told::drain(block, 0), Told::default());
}

#[test]
fn a_mask_that_is_overtaken_by_an_unmap_is_harmless() {
    let blocks = blocks();
    let (mut relay, block) = (relay(&blocks), &blocks[0]);
    let mapping = relay.map(0, vector(0x51), source(0)).unwrap();
    let slot = mapping.slot;
    let (mask, unmask) = (relay.mask(&mapping).unwrap(), relay.unmask(&mapping).unwrap());
    let unmap = relay.unmap(mapping).unwrap();
    assert!([&mask, &unmask, &unmap].iter().all(|ticket| ticket.poll().is_pending()));
    serve(block);
    assert!([&mask, &unmask, &unmap].iter().all(|ticket| ticket.poll().is_ready()));
    assert_eq!(block.slot_word(slot), SlotWord::unmapped(slot));
}

#[test]
fn a_grant_opens_the_filter_for_one_vector_of_one_cpu() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let grant = relay.grant(1, vector(0x51), source(0)).unwrap();
    for block in blocks.iter() {
        assert_eq!(block.post_remote(vector(0x51)), Kick::NotNeeded);
        let _ = block.drain(0);
    }
    assert_eq!(blocks[0].page().highest(Register::IRR), None);
    assert_eq!(blocks[1].page().highest(Register::IRR), Some(vector(0x51)));
    assert_eq!((blocks[0].filtered(vector(0x51)), blocks[1].filtered(vector(0x51))), (1, 0));
    let listed: Vec<_> = relay.mappings().collect();
    assert_eq!((listed.len(), listed[0].mode, listed[0].cpu), (1, Mode::Proxied, 1));
    let _ = relay.revoke(grant).unwrap();
}

#[test]
fn a_revocation_lets_in_what_came_before_and_nothing_after() {
    let blocks = blocks();
    let (mut relay, block) = (relay(&blocks), &blocks[0]);
    let first = relay.grant(0, vector(0x51), source(0)).unwrap();
    let again = relay.grant(0, vector(0x51), source(0)).unwrap();
    let other = relay.grant(0, vector(0x51), source(1)).unwrap();
    assert!(relay.revoke(first).unwrap().poll().is_ready());
    assert!(relay.revoke(again).unwrap().poll().is_ready());
    let _ = block.post_remote(vector(0x51));
    let ticket = relay.revoke(other).unwrap();
    assert!(ticket.poll().is_pending());
    assert_eq!(relay.grant(0, vector(0x51), source(2)), Err(MapError::Withdrawing));
    serve(block);
    assert!(ticket.poll().is_ready());
    let _ = block.post_remote(vector(0x51));
    assert_eq!((block.drain(0).rvi, block.figures().relayed), (0x51, 1));
    assert_eq!(block.filtered(vector(0x51)), 1);
    assert!(relay.grant(0, vector(0x51), source(2)).is_ok());
}

#[test]
fn the_book_of_grants_is_bounded_and_refusals_give_way() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let _full = fill(&mut relay);
    for entry in 100..300 {
        assert_eq!(relay.map(0, vector(0x90), source(entry)), Err(MapError::BlockFull));
    }
    let granted = (0..200).take_while(|entry| relay.grant(0, vector(0x90), source(*entry)).is_ok());
    assert_eq!(granted.count(), 64);
    assert_eq!(relay.grant(0, vector(0x91), source(0)), Err(MapError::GrantsFull));
    assert_eq!(blocks[0].figures().refused, 200);
}

#[test]
fn a_handle_of_another_relay_is_stale() {
    let (blocks, others) = (blocks(), blocks());
    let (mut relay, mut other) = (relay(&blocks), relay(&others));
    let foreign = other.map(0, vector(0x51), source(0)).unwrap();
    let grant = other.grant(0, vector(0x51), source(0)).unwrap();
    assert!(relay.mask(&foreign).is_err());
    assert!(relay.unmap(foreign).is_err());
    assert!(relay.revoke(grant).is_err());
}

#[test]
fn a_request_to_a_cpu_in_l2_needs_a_kick_until_it_is_served() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mapping = relay.map(0, vector(0x51), source(0)).unwrap();
    serve(&blocks[0]);
    assert!(blocks[0].try_enter_l2().is_ok());
    let ticket = relay.unmap(mapping).unwrap();
    assert_eq!((ticket.cpu(), ticket.kick()), (0, Kick::Needed));
    blocks[0].resume();
    assert_eq!(ticket.kick(), Kick::NotNeeded);
    assert!(blocks[0].try_enter_l2().is_err());
    serve(&blocks[0]);
    assert!(blocks[0].try_enter_l2().is_ok());
    assert_eq!(ticket.kick(), Kick::NotNeeded);
}

#[test]
fn a_slot_is_left_only_after_what_was_sent_to_it() {
    let blocks = blocks();
    let (mut relay, block) = (relay(&blocks), &blocks[0]);
    let mapping = relay.map(0, vector(0x51), source(0)).unwrap();
    serve(block);
    let ticket = relay.unmap(mapping).unwrap();
    block.service_after(|filter| {
        assert_eq!(filter, Filter::Stays);
        Arrived { reserved_irr: 1, messages: Messages::Taken }
    });
    assert!(ticket.poll().is_pending());
    assert!(block.work().contains(Work::MAILBOX), "it is to be served again");
    block.on_posted(Slot::new(0).unwrap());
    block.service_after(|_| Arrived { reserved_irr: 0, messages: Messages::Taken });
    assert!(ticket.poll().is_ready());
    let drained = block.drain(0);
    assert_eq!((drained.rvi, drained.aside), (0x51, false));
    assert_eq!((block.figures().relayed, block.figures().spurious), (1, 0));
}

#[test]
fn a_filter_shrinks_only_after_the_messages_were_taken() {
    let blocks = blocks();
    let (mut relay, block) = (relay(&blocks), &blocks[0]);
    let grant = relay.grant(0, vector(0x51), source(0)).unwrap();
    let ticket = relay.revoke(grant).unwrap();
    block.service_after(|filter| {
        assert_eq!(filter, Filter::Shrinks);
        Arrived { reserved_irr: 0, messages: Messages::Left }
    });
    assert!(ticket.poll().is_pending());
    block.service_after(|_| {
        let _ = block.post_remote(vector(0x51));
        Arrived { reserved_irr: 0, messages: Messages::Taken }
    });
    assert!(ticket.poll().is_ready());
    assert_eq!(block.drain(0).rvi, 0x51);
    let _ = block.post_remote(vector(0x51));
    let _ = block.drain(0);
    assert_eq!((block.figures().relayed, block.filtered(vector(0x51))), (1, 1));
}
