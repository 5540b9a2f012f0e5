// SPDX-License-Identifier: MIT OR Apache-2.0
//! Slots run out, are lent, and come back.

extern crate std;

use super::*;
use crate::{
    block::RelayBlock,
    mapping::{Mode, Reason},
    reserved_vector::{ReservedBlock, SLOTS},
    virtual_apic::Register,
};
use std::{boxed::Box, vec::Vec};

type Control = Relay<'static, 3>;

fn control() -> (Control, &'static [RelayBlock; 3]) {
    let blocks: &'static [RelayBlock; 3] = Box::leak(Box::new([const { RelayBlock::new() }; 3]));
    let mut relay = Relay::new(blocks, ReservedBlock::new(0x40).unwrap());
    relay.lend_among(3);
    (relay, blocks)
}

fn vector(number: usize) -> L2Vector {
    L2Vector::new(u8::try_from(32 + number).unwrap()).unwrap()
}

fn source(number: usize) -> Source {
    Source { device: 1, entry: u32::try_from(number).unwrap() }
}

/// Maps vectors `numbers` of `cpu`, each for a source of its own.
fn map(relay: &mut Control, cpu: usize, numbers: core::ops::Range<usize>) -> Vec<Mapping> {
    numbers.map(|number| relay.map(cpu, vector(number), source(number)).unwrap()).collect()
}

/// Gives a mapping back and does what its ticket asks of owners and caller.
fn unmap(relay: &mut Control, blocks: &[RelayBlock], mapping: Mapping) {
    let ticket = relay.unmap(mapping).unwrap();
    blocks[ticket.cpu()].service(|| 0);
    assert!(ticket.poll().is_ready());
    if let Some(ticket) = relay.conclude(&ticket) {
        blocks[ticket.cpu()].service(|| 0);
        assert!(ticket.poll().is_ready());
    }
}

/// Does what the owner of `cpu` does before an entry: what it took for others goes on.
fn pass(blocks: &[RelayBlock], cpu: usize) -> Vec<u8> {
    let _ = blocks[cpu].drain(0);
    for slot in Slot::in_bits(blocks[cpu].take_aside().forwarded) {
        let (to, vector) = blocks[cpu].forward(slot).unwrap();
        let _ = blocks[to].post_remote(vector);
    }
    let page = blocks[cpu].page();
    let pending =
        |vector: &L2Vector| page.read_bank(Register::IRR, vector.bank()) & vector.mask() != 0;
    L2Vector::all().filter(pending).map(L2Vector::get).collect()
}

fn allowed(block: &RelayBlock, vector: L2Vector) -> bool {
    block.mailbox.allowed[vector.bank()].load(Ordering::Relaxed) & vector.mask() != 0
}

#[test]
fn the_33rd_mapping_is_another_cpus_and_ends_where_it_shall() {
    let (mut relay, blocks) = control();
    let own = map(&mut relay, 0, 0..SLOTS);
    assert!(own.iter().all(|mapping| mapping.mode() == Mode::Posted));
    let remote = relay.map(0, vector(32), source(32)).unwrap();
    assert_eq!((remote.mode(), remote.cpu()), (Mode::Remote, 0));
    let taker = remote.message_cpu();
    assert_ne!(taker, 0);
    blocks[taker].on_posted(remote.slot);
    assert!(pass(blocks, taker).is_empty(), "nothing for the L2 of the CPU that takes it");
    assert_eq!(pass(blocks, 0), [vector(32).get()]);
    assert_eq!(blocks[0].figures().filtered, 0);
}

#[test]
fn a_lent_slot_is_listed_where_it_ends_with_mode_and_reason() {
    let (mut relay, _) = control();
    let _own = map(&mut relay, 0, 0..SLOTS);
    let remote = relay.map(0, vector(32), source(32)).unwrap();
    let listed: Vec<_> = relay.mappings().filter(|listed| listed.mode != Mode::Posted).collect();
    assert_eq!(listed.len(), 1);
    let listed = listed[0];
    assert_eq!((listed.cpu, listed.taker), (0, remote.message_cpu()));
    assert_eq!((listed.mode, listed.reason), (Mode::Remote, Reason::BlockFull));
    assert_eq!((listed.source, listed.reserved), (source(32), Some(remote.reserved_vector())));
}

#[test]
fn the_emptiest_of_the_others_lends() {
    let (mut relay, _) = control();
    let _full = map(&mut relay, 0, 0..SLOTS);
    let _some = map(&mut relay, 1, 40..60);
    assert_eq!(relay.map(0, vector(32), source(32)).unwrap().message_cpu(), 2);
}

#[test]
fn a_cpu_that_takes_no_part_lends_nothing() {
    let (mut relay, _) = control();
    relay.lend_among(2);
    let _first = map(&mut relay, 0, 0..SLOTS);
    let _second = map(&mut relay, 1, 40..72);
    assert_eq!(relay.map(0, vector(32), source(32)), Err(MapError::BlockFull));
    let refused = relay.mappings().find(|listed| listed.mode == Mode::Refused).unwrap();
    assert_eq!((refused.cpu, refused.reason), (0, Reason::BlockFull));
}

#[test]
fn the_same_remote_mapping_is_another_reference() {
    let (mut relay, blocks) = control();
    let _own = map(&mut relay, 0, 0..SLOTS);
    let (first, second) = (map(&mut relay, 0, 32..33), map(&mut relay, 0, 32..33));
    assert_eq!(first, second);
    for mapping in first {
        unmap(&mut relay, blocks, mapping);
    }
    assert_eq!(relay.mappings().filter(|listed| listed.mode == Mode::Remote).count(), 1);
    assert!(allowed(&blocks[0], vector(32)));
    for mapping in second {
        unmap(&mut relay, blocks, mapping);
    }
    assert_eq!(relay.mappings().filter(|listed| listed.mode == Mode::Remote).count(), 0);
    assert!(!allowed(&blocks[0], vector(32)), "the filter is as narrow as before");
}

#[test]
fn an_interrupt_on_its_way_passes_before_the_filter_closes() {
    let (mut relay, blocks) = control();
    let _own = map(&mut relay, 0, 0..SLOTS);
    let remote = relay.map(0, vector(32), source(32)).unwrap();
    let taker = remote.message_cpu();
    blocks[taker].on_posted(remote.slot);
    let ticket = relay.unmap(remote).unwrap();
    // The owner passes on, then serves.
    assert!(pass(blocks, taker).is_empty());
    blocks[taker].service(|| 0);
    let ticket = relay.conclude(&ticket).unwrap();
    assert_eq!(ticket.cpu(), 0);
    blocks[0].service(|| 0);
    assert!(ticket.poll().is_ready());
    assert_eq!(pass(blocks, 0), [vector(32).get()]);
    assert!(!allowed(&blocks[0], vector(32)));
}

#[test]
fn a_slot_that_comes_free_is_climbed_to() {
    let (mut relay, blocks) = control();
    let mut own = map(&mut relay, 0, 0..SLOTS);
    let remote = relay.map(0, vector(32), source(32)).unwrap();
    assert_eq!(relay.promotion(0), None, "no slot is free");
    unmap(&mut relay, blocks, own.pop().unwrap());
    let promotion = relay.promotion(0).unwrap();
    assert_eq!((promotion.cpu, promotion.vector), (0, vector(32)));
    let posted = relay.map(0, promotion.vector, promotion.source).unwrap();
    assert_eq!((posted.mode(), posted.message_cpu()), (Mode::Posted, 0));
    unmap(&mut relay, blocks, remote);
    assert_eq!(relay.promotion(0), None, "nobody waits");
    assert!(!allowed(&blocks[0], vector(32)));
    blocks[0].on_posted(posted.slot);
    assert_eq!(pass(blocks, 0), [vector(32).get()]);
}

#[test]
fn a_refused_one_climbs_too_and_each_gets_its_turn() {
    let (mut relay, blocks) = control();
    relay.lend_among(1);
    let mut own = map(&mut relay, 0, 0..SLOTS);
    for number in 32..35 {
        assert_eq!(relay.map(0, vector(number), source(number)), Err(MapError::BlockFull));
    }
    unmap(&mut relay, blocks, own.pop().unwrap());
    let turns: Vec<_> = (0..4).map(|_| relay.promotion(0).unwrap().vector.get() - 32).collect();
    assert_eq!(turns, [32, 33, 34, 32], "one that is left as it is hides no other");
    let _posted = relay.map(0, vector(33), source(33)).unwrap();
    assert_eq!(relay.promotion(0), None, "the slot is taken");
    let refused = relay.mappings().filter(|listed| listed.mode == Mode::Refused);
    assert_eq!(refused.count(), 2);
}

#[test]
fn a_lender_gives_its_own_l2_what_is_left_and_no_more() {
    let (mut relay, _) = control();
    relay.lend_among(2);
    let _first = map(&mut relay, 0, 0..SLOTS + 8);
    let _second = map(&mut relay, 1, 50..50 + SLOTS - 8);
    assert_eq!(relay.map(1, vector(90), source(90)), Err(MapError::BlockFull));
    let of_second =
        |listed: &crate::mapping::Listed| listed.taker == 1 && listed.reserved.is_some();
    assert_eq!(relay.mappings().filter(of_second).count(), SLOTS);
}

#[test]
fn a_silent_lender_keeps_the_filter_open_and_the_vector_from_others() {
    let (mut relay, blocks) = control();
    relay.lend_among(2);
    let mut own = map(&mut relay, 0, 0..SLOTS);
    let remote = relay.map(0, vector(32), source(32)).unwrap();
    let ticket = relay.unmap(remote).unwrap();
    relay.quarantine(ticket);
    assert!(allowed(&blocks[0], vector(32)), "it may yet pass one on");
    unmap(&mut relay, blocks, own.pop().unwrap());
    assert_eq!(relay.map(0, vector(32), source(99)), Err(MapError::Quarantined));
    blocks[1].service(|| 0);
    relay.reclaim(1);
    blocks[0].service(|| 0);
    assert!(!allowed(&blocks[0], vector(32)));
    assert!(relay.map(0, vector(32), source(99)).is_ok(), "it has answered after all");
}

#[test]
fn what_is_proxied_for_want_of_a_slot_climbs_and_what_was_asked_for_does_not() {
    let (mut relay, blocks) = control();
    let mut mappings: Vec<_> = (0..3).map(|cpu| map(&mut relay, cpu, 0..SLOTS)).collect();
    let wanted = (vector(40), source(40));
    assert_eq!(relay.map(0, wanted.0, wanted.1), Err(MapError::BlockFull));
    let grant = relay.grant_for(0, wanted, Reason::BlockFull).unwrap();
    let asked = relay.grant(0, vector(41), source(41)).unwrap();
    let listed: Vec<_> = relay.mappings().filter(|entry| entry.mode == Mode::Proxied).collect();
    let reasons = [41, 40].map(|entry| {
        let mut of_entry = listed.iter().filter(|listed| listed.source.entry == entry);
        of_entry.next().unwrap().reason
    });
    assert_eq!(reasons, [Reason::Asked, Reason::BlockFull]);
    assert_eq!(listed.len(), 2);
    assert!(relay.mappings().all(|entry| entry.mode != Mode::Refused), "it is refused no more");
    assert_eq!(relay.promotion(0), None);
    unmap(&mut relay, blocks, mappings[0].pop().unwrap());
    let promotion = Promotion { cpu: 0, vector: wanted.0, source: wanted.1 };
    assert_eq!(relay.promotion(0), Some(promotion));
    assert_eq!(relay.promotion(0), Some(promotion), "the other one is as its caller wants it");
    let posted = relay.map(0, wanted.0, wanted.1).unwrap();
    assert_eq!(posted.mode(), Mode::Posted);
    // Until the grant is given back, both ways are open.
    let _ = blocks[0].post_remote(wanted.0);
    assert_eq!(pass(blocks, 0), [wanted.0.get()]);
    let ticket = relay.revoke(grant).unwrap();
    blocks[0].service(|| 0);
    assert!(ticket.poll().is_ready());
    assert_eq!(relay.promotion(0), None);
    let _ = (posted, asked);
}
