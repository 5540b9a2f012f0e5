// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the relay costs does not grow: each operation executes the same number of instructions with
//! one CPU as with 1,024, and with an empty machine as with 32,736 mappings.
//!
//! Instructions are counted one by one, by the processor's single-step trap, so the figures are exact
//! and the same on every run. They are those of a test build, so only their ratios mean something.
#![cfg(all(not(loom), target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod steps;

use proxy_irq::{
    ApicMode, Kick, L2Vector, Mapping, Relay, RelayBlock, ReservedBlock, Slot, Source,
};
use steps::steps;

/// What one of each operation costs, in instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Costs {
    post: u64,
    post_remote: u64,
    drain: u64,
    map: u64,
    unmap: u64,
    serve: u64,
    poll: u64,
}

fn vector(number: u8) -> L2Vector {
    L2Vector::new(number).unwrap()
}

/// Maps `count` sources on CPU `cpu`.
fn occupy<const CPUS: usize>(relay: &mut Relay<'_, CPUS>, cpu: usize, count: u8) -> Vec<Mapping> {
    let map = |entry: u8| {
        let source = Source { device: u32::try_from(cpu).unwrap(), entry: entry.into() };
        relay.map(cpu, vector(0x60 + entry), source).unwrap()
    };
    (0..count).map(map).collect()
}

/// Measures on the last of `CPUS` CPUs, of which the others have `others` mappings each and it has
/// `own`.
fn measure<const CPUS: usize>(others: u8, own: u8) -> Costs {
    let blocks: Vec<_> = (0..CPUS).map(|_| RelayBlock::new()).collect();
    let blocks: Box<[RelayBlock; CPUS]> = blocks.into_boxed_slice().try_into().unwrap();
    let mut relay = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
    let last = CPUS - 1;
    for cpu in 0..last {
        let _kept = occupy(&mut relay, cpu, others);
    }
    let _kept = occupy(&mut relay, last, own);
    let block = &blocks[last];
    block.service(|| 0);
    let source = Source { device: 0xffff, entry: 0 };
    let mut mapping = None;
    let map = steps(|| mapping = Some(relay.map(last, vector(0xa5), source).unwrap()));
    let mapping = mapping.unwrap();
    let slot = Slot::new(mapping.reserved_vector().get() - 0x40).unwrap();
    let post = steps(|| block.on_posted(slot));
    let mut kick = None;
    let post_remote = steps(|| kick = Some(block.post_trusted(vector(0xb5))));
    block.set_mode(ApicMode::Offload);
    let drain = steps(|| _ = block.drain(0));
    assert_eq!((block.figures().relayed, kick), (2, Some(Kick::NotNeeded)));
    let mut ticket = None;
    let unmap = steps(|| ticket = Some(relay.unmap(mapping).unwrap()));
    let serve = steps(|| block.service(|| 0));
    let ticket = ticket.unwrap();
    let mut ready = false;
    let poll = steps(|| ready = ticket.poll().is_ready());
    assert!(ready);
    Costs { post, post_remote, drain, map, unmap, serve, poll }
}

/// Runs `body` where a book of 1,024 CPUs fits on the stack.
fn with_room(body: impl FnOnce() -> Costs + Send + 'static) -> Costs {
    let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(body).unwrap();
    thread.join().unwrap()
}

#[test]
fn no_cost_grows_with_the_number_of_cpus() {
    let one = with_room(|| measure::<1>(0, 0));
    assert!(one.post > 5 && one.map > one.post, "the counter does not count: {one:?}");
    assert_eq!(one, with_room(|| measure::<1>(0, 0)), "the counter is not exact");
    for many in [with_room(|| measure::<64>(0, 0)), with_room(|| measure::<1024>(0, 0))] {
        assert_eq!(one, many);
    }
}

#[test]
fn no_cost_grows_with_the_mappings_of_other_cpus() {
    let empty = with_room(|| measure::<1024>(0, 0));
    assert_eq!(empty, with_room(|| measure::<1024>(32, 0)));
}

/// The CPU's own mappings are at most 32, and the search among them is what a constant bounds.
#[test]
fn a_full_block_costs_at_most_a_constant_more() {
    let (empty, full) = (with_room(|| measure::<1>(0, 0)), with_room(|| measure::<1>(0, 31)));
    assert_eq!(
        Costs { map: 0, drain: 0, serve: 0, ..empty },
        Costs { map: 0, drain: 0, serve: 0, ..full },
        "nothing else looks at the CPU's other mappings"
    );
    assert!(full.map < empty.map + 31 * 200, "{} and then {}", empty.map, full.map);
    // Where slots post into several dwords, all eight are looked at; and 32 words are read again.
    assert!(full.drain < empty.drain + 8 * 1500, "{} and then {}", empty.drain, full.drain);
    assert!(full.serve < empty.serve + 31 * 700, "{} and then {}", empty.serve, full.serve);
}
