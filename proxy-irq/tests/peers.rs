// SPDX-License-Identifier: MIT OR Apache-2.0
//! Weak spots of a peer's interrupt redirection, A1 to A13, each as a test that a relay with the same
//! weakness fails. `docs/peers.md` has the table, and the tests of those that lie outside this crate.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod told;

use proxy_irq::{
    ApicMode, EnterState, Kick, L2Vector, MapError, Mapping, Mode, Reason, Register, Relay,
    RelayBlock, ReservedBlock, Slot, Source, Trigger, Work,
};

const BASE: u8 = 0x40;
const CPUS: usize = 64;

type Blocks = [RelayBlock; CPUS];

fn blocks() -> Box<Blocks> {
    let blocks: Vec<_> = (0..CPUS).map(|_| RelayBlock::new()).collect();
    blocks.iter().for_each(|block| block.set_mode(ApicMode::Offload));
    blocks.into_boxed_slice().try_into().unwrap()
}

fn relay(blocks: &Blocks) -> Box<Relay<'_, CPUS>> {
    Box::new(Relay::new(blocks, ReservedBlock::new(BASE).unwrap()))
}

fn vector(number: u8) -> L2Vector {
    L2Vector::new(number).unwrap()
}

fn source(entry: u32) -> Source {
    Source { device: 0x10, entry }
}

fn slot(mapping: &Mapping) -> Slot {
    Slot::new(mapping.reserved_vector().get() - BASE).unwrap()
}

/// Takes the interrupt of `mapping` on its CPU and returns whether L2 got its vector.
fn arrives(blocks: &Blocks, mapping: &Mapping) -> bool {
    let block = &blocks[mapping.cpu()];
    block.on_posted(slot(mapping));
    let drained = told::drain(block, 0);
    let arrived = block.page().deliverable() == Some(mapping.vector());
    assert_eq!(arrived, drained.rvi == mapping.vector().get(), "the RVI is not what pends");
    if arrived {
        block.page().deliver(mapping.vector());
        block.page().end_of_interrupt();
    }
    block.resume();
    arrived
}

/// There, a mapping is never removed, and vectors run out slowly as affinities change.
#[test]
fn a1_a_source_that_moves_for_ever_uses_one_slot() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mut mapping = relay.map(0, vector(0x51), source(0)).unwrap();
    for round in 1..20_000 {
        let new = relay.retarget(&mapping, round % CPUS, vector(0x51)).unwrap();
        let ticket = relay.unmap(mapping).unwrap();
        blocks[ticket.cpu()].service(|| 0);
        assert!(ticket.poll().is_ready());
        mapping = new;
    }
    let posted = relay.mappings().filter(|listed| listed.mode == Mode::Posted);
    assert_eq!(posted.count(), 1);
    assert!(arrives(&blocks, &mapping));
}

/// There, an unmap does not give the vector back, nor does a mapping that failed.
#[test]
fn a2_an_unmap_and_a_failed_map_give_the_slot_back() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    for round in 0..200 {
        let mappings: Vec<_> = (0..32)
            .map(|entry| relay.map(0, vector(0x60), source(100 * round + entry)).unwrap())
            .collect();
        for mapping in mappings {
            let _ticket = relay.unmap(mapping).unwrap();
        }
        blocks[0].service(|| 0);
        assert_eq!(relay.map(CPUS, vector(0x60), source(0)), Err(MapError::NoSuchCpu));
    }
    assert!(relay.mappings().all(|listed| listed.mode != Mode::Posted));
}

/// There, a mapping that is asked for twice is one without a count, and taking the second request
/// back tears the first one down.
#[test]
fn a3_taking_back_one_of_two_requests_leaves_the_mapping_live() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let first = relay.map(3, vector(0x51), source(0)).unwrap();
    let second = relay.retarget(&first, 3, vector(0x51)).unwrap();
    assert_eq!(first.reserved_vector(), second.reserved_vector());
    assert!(relay.unmap(second).unwrap().poll().is_ready(), "nobody has to do anything");
    blocks[3].service(|| 0);
    assert!(arrives(&blocks, &first), "an interrupt of a live mapping was lost");
    let _ticket = relay.unmap(first).unwrap();
    blocks[3].service(|| 0);
    blocks[3].on_posted(Slot::new(0).unwrap());
    assert_eq!(told::drain(&blocks[3], 0).spurious, 1, "and the last one ends it");
}

/// There, the filter grows after the host has been told, and what comes in between is dropped
/// without a trace.
#[test]
fn a4_the_filter_is_open_before_the_host_can_send() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    assert!(blocks[5].try_enter_l2().is_ok());
    let _grant = relay.grant(5, vector(0x51), source(0)).unwrap();
    // The host's message comes at once; the CPU has not run its loop since.
    assert_eq!(blocks[5].post_remote(vector(0x51)), Kick::Needed);
    blocks[5].resume();
    let drained = told::drain(&blocks[5], 0);
    assert_eq!((drained.relayed, blocks[5].filtered(vector(0x51))), (1, 0));
    // And what is not allowed is dropped with a trace.
    let _ = blocks[5].post_remote(vector(0x52));
    let _ = told::drain(&blocks[5], 0);
    assert_eq!(blocks[5].filtered(vector(0x52)), 1);
}

/// The same for a posted source: the slot is live before its vector is known.
#[test]
fn a4_a_slot_is_live_before_the_host_can_send() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mapping = relay.map(5, vector(0x51), source(0)).unwrap();
    assert!(arrives(&blocks, &mapping), "the first interrupt was lost");
}

/// There, every retarget wakes every CPU.
#[test]
fn a5_a_change_on_one_cpu_disturbs_no_other() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    assert!(blocks.iter().all(|block| block.try_enter_l2().is_ok()));
    let mapping = relay.map(7, vector(0x51), source(0)).unwrap();
    let grant = relay.grant(7, vector(0x61), source(1)).unwrap();
    let new = relay.retarget(&mapping, 8, vector(0x51)).unwrap();
    let tickets = [
        relay.mask(&new).unwrap(),
        relay.unmask(&new).unwrap(),
        relay.unmap(mapping).unwrap(),
        relay.revoke(grant).unwrap(),
    ];
    for ticket in &tickets {
        assert!([7, 8].contains(&ticket.cpu()));
        assert_eq!(ticket.kick(), Kick::Needed);
    }
    for (cpu, block) in blocks.iter().enumerate() {
        let disturbed = block.work() != Work::empty();
        assert_eq!(disturbed, [7, 8].contains(&cpu), "CPU {cpu}");
        assert_eq!(block.enter_state(), EnterState::InL2);
    }
}

/// There, a vector that one CPU may get every CPU may get, and for ever.
#[test]
fn a6_the_filter_is_that_of_one_cpu_and_shrinks() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let grant = relay.grant(9, vector(0x51), source(0)).unwrap();
    let passes = |cpu: usize| {
        let _ = blocks[cpu].post_remote(vector(0x51));
        told::drain(&blocks[cpu], 0).relayed == 1
    };
    for cpu in (0..CPUS).filter(|cpu| *cpu != 9) {
        assert!(!passes(cpu), "CPU {cpu} got a vector that it never asked for");
    }
    assert!(passes(9));
    blocks[9].page().deliver(vector(0x51));
    blocks[9].resume();
    let ticket = relay.revoke(grant).unwrap();
    blocks[9].service(|| 0);
    assert!(ticket.poll().is_ready());
    assert!(!passes(9), "the filter did not shrink");
    assert_eq!(blocks[9].filtered(vector(0x51)), 1);
}

/// There, the figures of the loop stay at zero whatever happens.
#[test]
fn a9_every_figure_moves_when_its_cause_does() {
    let blocks = blocks();
    let (mut relay, block) = (relay(&blocks), &blocks[0]);
    let mapping = relay.map(0, vector(0x51), source(0)).unwrap();
    for entry in 1..32 {
        let _kept = relay.map(0, vector(0x70), source(entry)).unwrap();
    }
    block.on_posted(slot(&mapping));
    let _ = block.post_trusted(vector(0x61));
    let _ = block.post_remote(vector(0x62));
    let _ = told::drain(block, 0);
    let _ = block.post_trusted(vector(0x61));
    let _ = told::drain(block, 0);
    let number = slot(&mapping);
    let ticket = relay.unmap(mapping).unwrap();
    relay.quarantine(ticket);
    block.on_posted(number);
    let _ = told::drain(block, 0);
    block.service(|| 0);
    assert!(block.try_enter_l2().is_ok());
    let figures = block.figures();
    assert_eq!((figures.posted, figures.remote), (1, 2));
    assert_eq!((figures.relayed, figures.merged), (2, 1));
    assert_eq!((figures.filtered, figures.spurious, figures.quarantined), (1, 1, 1));
}

/// There, nobody can see whether a source is posted, and entries are never removed.
#[test]
fn a11_the_list_says_of_every_source_how_it_arrives_and_why() {
    let blocks = blocks();
    let mut relay = relay(&blocks);
    let mapping = relay.map(1, vector(0x51), source(0)).unwrap();
    let grant = relay.grant(2, vector(0x52), source(1)).unwrap();
    let stands = |relay: &Relay<'_, CPUS>, entry| {
        let found = relay.mappings().find(|listed| listed.source == source(entry));
        found.map(|listed| (listed.cpu, listed.vector.get(), listed.mode, listed.reason))
    };
    assert_eq!(stands(&relay, 0), Some((1, 0x51, Mode::Posted, Reason::SlotFree)));
    assert_eq!(stands(&relay, 1), Some((2, 0x52, Mode::Proxied, Reason::Asked)));
    let _tickets = (relay.unmap(mapping).unwrap(), relay.revoke(grant).unwrap());
    assert_eq!(stands(&relay, 0), Some((1, 0x51, Mode::Unmapping, Reason::Released)));
    for cpu in [1, 2] {
        blocks[cpu].service(|| 0);
        let _kept = relay.map(cpu, vector(0x60), source(9)).unwrap();
        let _kept = relay.grant(cpu, vector(0x60), source(9)).unwrap();
    }
    assert_eq!(
        (stands(&relay, 0), stands(&relay, 1)),
        (None, None),
        "an entry outlived its source"
    );
}

/// There, the end of a level-triggered interrupt is an exit that nobody handles. Here the page says
/// which vectors exit, and a slot never posts one of them past the trigger mode.
#[test]
fn a13_a_level_triggered_vector_exits_at_its_end_and_an_edge_does_not() {
    let blocks = blocks();
    let (mut relay, block) = (relay(&blocks), &blocks[0]);
    let mapping = relay.map(0, vector(0x51), source(0)).unwrap();
    block.page().request(vector(0x51), Trigger::Level);
    assert_eq!(block.page().eoi_exit_bitmaps(), [0, 1 << 0x11, 0, 0]);
    block.page().deliver(vector(0x51));
    let ended = block.page().end_of_interrupt().unwrap();
    assert_eq!((ended.vector, ended.trigger), (vector(0x51), Trigger::Level));
    block.service(|| 0);
    assert!(arrives(&blocks, &mapping));
    assert_eq!(block.page().eoi_exit_bitmaps(), [0; 4], "an edge was left with a level's exit");
}

/// In one of their versions the pull of posted bits is reached only if there is other work.
#[test]
fn a_posted_vector_with_no_other_work_is_injected_on_the_next_entry() {
    let blocks = blocks();
    let (mut relay, block) = (relay(&blocks), &blocks[0]);
    let mapping = relay.map(0, vector(0x51), source(0)).unwrap();
    block.service(|| 0);
    let _ = told::drain(block, 0);
    block.on_posted(slot(&mapping));
    assert_eq!(block.work(), Work::POSTED);
    assert_eq!(told::drain(block, 0).rvi, 0x51);
    assert_eq!(block.page().highest(Register::IRR), Some(vector(0x51)));
    assert!(block.try_enter_l2().is_ok());
}
