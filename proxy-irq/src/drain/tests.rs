// SPDX-License-Identifier: MIT OR Apache-2.0
extern crate std;
use std::boxed::Box;

use proptest::prelude::*;

use super::*;
use crate::{
    map::Relay,
    mapping::Source,
    redirect::ApicMode,
    reserved_vector::{L2Vector, ReservedBlock, Slot},
    slot::SlotWord,
    told::{Told, drain},
    virtual_apic::{Register, Trigger},
};

fn vector(number: u8) -> L2Vector {
    L2Vector::new(number).unwrap()
}

fn slot(index: u8) -> Slot {
    Slot::new(index).unwrap()
}

fn mapped(block: &RelayBlock, index: u8, number: u8) {
    block.announce_banked(slot(index));
    block.slots[usize::from(index)]
        .store(SlotWord::banked(vector(number)).raw(), Ordering::Relaxed);
}

fn allow(block: &RelayBlock, number: u8) {
    let vector = vector(number);
    block.mailbox.allowed[vector.bank()].fetch_or(vector.mask(), Ordering::Relaxed);
}

#[test]
fn an_idle_drain_changes_nothing() {
    let block = RelayBlock::new();
    let apic = block.page();
    assert_eq!(drain(&block, 0x33), Told { rvi: 0x33, ..Told::default() });
    assert_eq!(apic.highest(Register::IRR), None);
}

#[test]
fn a_posted_vector_is_relayed_exactly_once() {
    let block = RelayBlock::new();
    let apic = block.page();
    mapped(&block, 7, 0x51);
    block.on_posted(slot(7));
    block.on_posted(slot(7));
    assert_eq!(drain(&block, 0), Told { rvi: 0x51, relayed: 1, ..Told::default() });
    assert!(apic.vectors(Register::IRR).eq([vector(0x51)]));
    apic.deliver(vector(0x51));
    block.resume();
    assert_eq!(drain(&block, 0), Told::default());
}

#[test]
fn a_vector_that_still_pends_is_merged() {
    let block = RelayBlock::new();
    let apic = block.page();
    mapped(&block, 0, 0x51);
    apic.request(vector(0x51), Trigger::Edge);
    apic.request(vector(0x81), Trigger::Edge);
    block.resume();
    block.on_posted(slot(0));
    assert_eq!(drain(&block, 0x81), Told { rvi: 0x81, merged: 1, ..Told::default() });
    let figures = block.figures();
    assert_eq!((figures.posted, figures.relayed, figures.merged), (1, 0, 1));
}

#[test]
fn a_vector_that_is_posted_directly_is_counted_unless_it_pends() {
    let block = RelayBlock::new();
    mapped(&block, 0, 0x51);
    mapped(&block, 1, 0xa1);
    block.set_mode(ApicMode::Offload);
    block.on_posted(slot(0));
    assert!(block.page().vectors(Register::IRR).eq([vector(0x51)]));
    assert_eq!(drain(&block, 0), Told { rvi: 0x51, relayed: 1, ..Told::default() });
    block.resume();
    block.on_posted(slot(0));
    block.on_posted(slot(1));
    assert_eq!(drain(&block, 0x51), Told { rvi: 0xa1, relayed: 1, ..Told::default() });
    block.resume();
    block.page().deliver(vector(0xa1));
    block.page().deliver(vector(0x51));
    block.resume();
    block.on_posted(slot(0));
    assert_eq!(drain(&block, 0), Told { rvi: 0x51, relayed: 1, ..Told::default() });
    assert_eq!((block.figures().posted, block.figures().merged), (3, 0));
}

#[test]
fn what_was_counted_before_a_failed_entry_is_not_counted_again() {
    let block = RelayBlock::new();
    mapped(&block, 0, 0x51);
    block.set_mode(ApicMode::Offload);
    block.on_posted(slot(0));
    assert_eq!(drain(&block, 0).relayed, 1);
    let _ = block.post_trusted(vector(0x91));
    assert!(block.try_enter_l2().is_err());
    block.on_posted(slot(0));
    assert_eq!(drain(&block, 0x51), Told { rvi: 0x91, relayed: 1, ..Told::default() });
}

#[test]
fn an_unmapped_slot_is_counted_and_nothing_else() {
    let block = RelayBlock::new();
    let apic = block.page();
    for slot in Slot::all() {
        block.on_posted(slot);
    }
    block.on_posted(slot(9));
    assert_eq!(drain(&block, 0), Told { spurious: !0, ..Told::default() });
    block.on_posted(slot(9));
    assert_eq!(drain(&block, 0).spurious, slot(9).bit());
    assert_eq!((block.spurious(slot(9)), block.spurious(slot(8))), (2, 1));
    assert_eq!(block.figures().spurious, 33);
    assert_eq!(apic.highest(Register::IRR), None);
}

#[test]
fn the_filter_is_exact_for_devices_and_absent_for_l2_itself() {
    for allowed in L2Vector::all() {
        let block = RelayBlock::new();
        let apic = block.page();
        allow(&block, allowed.get());
        for vector in L2Vector::all() {
            let _ = block.post_remote(vector);
        }
        assert_eq!(drain(&block, 0).relayed, 1);
        assert!(apic.vectors(Register::IRR).eq([allowed]));
        for vector in L2Vector::all() {
            assert_eq!(block.filtered(vector), u32::from(vector != allowed));
        }
        let _ = block.post_trusted(vector(0xec));
        let _ = drain(&block, 0);
        assert!(apic.read_bank(Register::IRR, 7) & vector(0xec).mask() != 0);
        assert_eq!(block.figures().filtered, 239);
    }
}

#[test]
fn an_edge_ends_the_level_mode_of_its_vector() {
    let block = RelayBlock::new();
    let apic = block.page();
    apic.request(vector(0x31), Trigger::Level);
    apic.request(vector(0x32), Trigger::Level);
    mapped(&block, 0, 0x31);
    block.on_posted(slot(0));
    let _ = drain(&block, 0);
    assert!(apic.vectors(Register::TMR).eq([vector(0x32)]));
}

proptest! {
    /// The dword-wise drain is the bit-wise one, for any pending bits and any VIRR.
    #[test]
    fn a_drain_equals_the_bitwise_reference(
        pending in prop::array::uniform8(any::<u32>()),
        requested in prop::array::uniform8(any::<u32>()),
    ) {
        let block = RelayBlock::new();
        let apic = block.page();
        let valid = |bank: usize, bits: u32| if bank == 0 { bits & !0xffff } else { bits };
        for bank in 0..8 {
            apic.write_bank(Register::IRR, bank, valid(bank, requested[bank]));
            block.page().set(vector_bank(bank), valid(bank, pending[bank]));
        }
        block.resume();
        block.announce_banked(slot(0));
        block.control.dirty.store(1, Ordering::Relaxed);
        let saved_rvi = apic.rvi();
        let drained = drain(&block, saved_rvi);
        let (mut relayed, mut merged) = (0, 0);
        for vector in L2Vector::all() {
            let bit = |words: &[u32; 8]| words[vector.bank()] & vector.mask() != 0;
            let (new, old) = (bit(&pending), bit(&requested));
            let now = apic.read_bank(Register::IRR, vector.bank()) & vector.mask() != 0;
            prop_assert_eq!(now, new || old);
            relayed += u32::from(new && !old);
            merged += u32::from(new && old);
        }
        prop_assert_eq!((drained.relayed, drained.merged), (relayed, merged));
        prop_assert_eq!(drained.rvi, apic.rvi());
    }

    /// Any interrupt number and any slot word stay inside the block.
    #[test]
    fn no_slot_word_leaves_the_block(raw: u64, index in 0u8..32) {
        let block = RelayBlock::new();
        block.slots[usize::from(index)].store(raw, Ordering::Relaxed);
        block.on_posted(slot(index));
        let _ = drain(&block, 0);
    }
}

#[test]
fn the_control_plane_and_the_data_plane_meet() {
    let blocks = Box::new([RelayBlock::new()]);
    let reserved = ReservedBlock::new(0x40).unwrap();
    let mut relay = Relay::new(&blocks, reserved);
    let apic = blocks[0].page();
    for number in 100..132 {
        let source = Source { device: 1, entry: number.into() };
        let mapping = relay.map(0, vector(number), source).unwrap();
        blocks[0].on_posted(reserved.slot(mapping.reserved_vector().get()).unwrap());
    }
    assert_eq!(drain(&blocks[0], 0).relayed, 32);
    assert!(apic.vectors(Register::IRR).map(L2Vector::get).eq(100..132));
}
