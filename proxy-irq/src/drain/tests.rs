// SPDX-License-Identifier: MIT OR Apache-2.0
extern crate std;
use std::boxed::Box;

use proptest::prelude::*;

use super::*;
use crate::{
    map::Relay,
    mapping::Source,
    reserved_vector::{ReservedBlock, Slot},
    slot::SlotWord,
    virtual_apic::{Register, Trigger},
};

fn vector(number: u8) -> L2Vector {
    L2Vector::new(number).unwrap()
}

fn slot(index: u8) -> Slot {
    Slot::new(index).unwrap()
}

fn mapped(block: &RelayBlock, index: u8, number: u8) {
    block.slots[usize::from(index)]
        .store(SlotWord::relayed(vector(number)).raw(), Ordering::Relaxed);
}

fn allow(block: &RelayBlock, number: u8) {
    let vector = vector(number);
    block.mailbox.allowed[vector.bank()].fetch_or(vector.mask(), Ordering::Relaxed);
}

#[test]
fn an_idle_drain_changes_nothing() {
    let (block, apic) = (RelayBlock::new(), VirtualApicPage::new());
    assert_eq!(block.drain(&apic, 0x33), Drained { rvi: 0x33, ..Drained::default() });
    assert_eq!(apic.highest(Register::IRR), None);
}

#[test]
fn a_posted_vector_is_relayed_exactly_once() {
    let (block, apic) = (RelayBlock::new(), VirtualApicPage::new());
    mapped(&block, 7, 0x51);
    block.on_posted(slot(7));
    block.on_posted(slot(7));
    assert_eq!(block.drain(&apic, 0), Drained { rvi: 0x51, relayed: 1, ..Drained::default() });
    assert!(apic.vectors(Register::IRR).eq([vector(0x51)]));
    apic.deliver(vector(0x51));
    assert_eq!(block.drain(&apic, 0), Drained::default());
}

#[test]
fn a_vector_that_still_pends_is_merged() {
    let (block, apic) = (RelayBlock::new(), VirtualApicPage::new());
    mapped(&block, 0, 0x51);
    apic.request(vector(0x51), Trigger::Edge);
    apic.request(vector(0x81), Trigger::Edge);
    block.on_posted(slot(0));
    assert_eq!(block.drain(&apic, 0x81), Drained { rvi: 0x81, merged: 1, ..Drained::default() });
    let figures = block.figures();
    assert_eq!((figures.posted, figures.relayed, figures.merged), (1, 0, 1));
}

#[test]
fn an_unmapped_slot_is_counted_and_nothing_else() {
    let (block, apic) = (RelayBlock::new(), VirtualApicPage::new());
    for slot in Slot::all() {
        block.on_posted(slot);
    }
    block.on_posted(slot(9));
    assert_eq!(block.drain(&apic, 0), Drained { spurious: !0, ..Drained::default() });
    block.on_posted(slot(9));
    assert_eq!(block.drain(&apic, 0).spurious, slot(9).bit());
    assert_eq!((block.spurious(slot(9)), block.spurious(slot(8))), (2, 1));
    assert_eq!(block.figures().spurious, 33);
    assert_eq!(apic.highest(Register::IRR), None);
}

#[test]
fn the_filter_is_exact_for_devices_and_absent_for_l2_itself() {
    for allowed in L2Vector::all() {
        let (block, apic) = (RelayBlock::new(), VirtualApicPage::new());
        allow(&block, allowed.get());
        for vector in L2Vector::all() {
            let _ = block.post_remote(vector);
        }
        assert_eq!(block.drain(&apic, 0).relayed, 1);
        assert!(apic.vectors(Register::IRR).eq([allowed]));
        for vector in L2Vector::all() {
            assert_eq!(block.filtered(vector), u32::from(vector != allowed));
        }
        let _ = block.post_trusted(vector(0xec));
        let _ = block.drain(&apic, 0);
        assert!(apic.read_bank(Register::IRR, 7) & vector(0xec).mask() != 0);
        assert_eq!(block.figures().filtered, 239);
    }
}

#[test]
fn an_edge_ends_the_level_mode_of_its_vector() {
    let (block, apic) = (RelayBlock::new(), VirtualApicPage::new());
    apic.request(vector(0x31), Trigger::Level);
    apic.request(vector(0x32), Trigger::Level);
    mapped(&block, 0, 0x31);
    block.on_posted(slot(0));
    let _ = block.drain(&apic, 0);
    assert!(apic.vectors(Register::TMR).eq([vector(0x32)]));
}

proptest! {
    /// The dword-wise drain is the bit-wise one, for any pending bits and any VIRR.
    #[test]
    fn a_drain_equals_the_bitwise_reference(
        pending in prop::array::uniform8(any::<u32>()),
        requested in prop::array::uniform8(any::<u32>()),
    ) {
        let (block, apic) = (RelayBlock::new(), Box::new(VirtualApicPage::new()));
        let valid = |bank: usize, bits: u32| if bank == 0 { bits & !0xffff } else { bits };
        for bank in 0..8 {
            apic.write_bank(Register::IRR, bank, valid(bank, requested[bank]));
            block.set_in_bank(bank, valid(bank, pending[bank]));
        }
        block.control.dirty.store(1, Ordering::Relaxed);
        let saved_rvi = apic.rvi();
        let drained = block.drain(&apic, saved_rvi);
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
        let (block, apic) = (RelayBlock::new(), VirtualApicPage::new());
        block.slots[usize::from(index)].store(raw, Ordering::Relaxed);
        block.on_posted(slot(index));
        let _ = block.drain(&apic, 0);
    }
}

#[test]
fn the_control_plane_and_the_data_plane_meet() {
    let blocks = Box::new([RelayBlock::new()]);
    let reserved = ReservedBlock::new(0x40).unwrap();
    let mut relay = Relay::new(&blocks, reserved);
    let apic = VirtualApicPage::new();
    for number in 100..132 {
        let source = Source { device: 1, entry: number.into() };
        let mapping = relay.map(0, vector(number), source).unwrap();
        blocks[0].on_posted(reserved.slot(mapping.reserved_vector().get()).unwrap());
    }
    assert_eq!(blocks[0].drain(&apic, 0).relayed, 32);
    assert!(apic.vectors(Register::IRR).map(L2Vector::get).eq(100..132));
}
