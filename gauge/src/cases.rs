// SPDX-License-Identifier: MIT OR Apache-2.0
//! When it is counted: how things stand before each call.

use core::hint::black_box;

use proxy_irq::{
    ApicMode, L2Vector, Register, Relay, RelayBlock, RemoteWord, ReservedBlock, SLOTS, Slot, Source,
};

use crate::{CALLS, measured};

/// The vectors of a drain that finds some.
fn contiguous(number: u8) -> Option<L2Vector> {
    L2Vector::new(0x60 + number)
}

/// The same number of them, over all of L2's vectors.
fn spread(number: u8) -> Option<L2Vector> {
    L2Vector::new(0x20 + 7 * number)
}

/// A block with a slot for each of 32 vectors, in `mode`.
fn block_of(vector: fn(u8) -> Option<L2Vector>, mode: ApicMode) -> RelayBlock {
    let blocks = [const { RelayBlock::new() }; 1];
    if let Some(reserved) = ReservedBlock::new(0x40) {
        let mut relay = Relay::new(&blocks, reserved);
        for vector in (0..32).filter_map(vector) {
            let _ = black_box(relay.map(0, vector, source(0)));
        }
    }
    let [block] = blocks;
    block.service(|| 0);
    block.set_mode(mode);
    block
}

const fn source(entry: u32) -> Source {
    Source { device: 0x10, entry }
}

/// An interrupt on each slot in turn.
#[inline(never)]
pub(crate) fn any_slot() {
    let block = black_box(block_of(contiguous, ApicMode::Offload));
    for call in 0..CALLS {
        let Some(slot) = Slot::all().nth(call % SLOTS) else { return };
        measured::on_posted(&block, black_box(slot));
    }
}

/// Posts for a CPU that has nothing pending.
#[inline(never)]
pub(crate) fn nothing_pending() {
    let block = black_box(RelayBlock::new());
    for call in 0..CALLS {
        let Some(vector) = nth(call) else { return };
        black_box(measured::post_remote(&block, black_box(vector)) as u8);
        black_box(block.drain(0).rvi);
        black_box(measured::post(&block, black_box(RemoteWord::trusted(vector))) as u8);
        black_box(block.drain(0).rvi);
    }
}

/// Posts for a CPU that has something pending already.
#[inline(never)]
pub(crate) fn already_pending() {
    let block = black_box(RelayBlock::new());
    if let Some(vector) = contiguous(0) {
        black_box(block.post_remote(vector) as u8);
    }
    for call in 0..CALLS {
        let Some(vector) = nth(call) else { return };
        black_box(measured::post_remote(&block, black_box(vector)) as u8);
        black_box(measured::post(&block, black_box(RemoteWord::trusted(vector))) as u8);
    }
}

/// A vector for each of many calls.
fn nth(call: usize) -> Option<L2Vector> {
    contiguous(Slot::all().nth(call % SLOTS)?.get())
}

/// Drains that find nothing, or so many interrupts.
pub(crate) fn drains() {
    idle();
    one_direct();
    four_spread_direct();
    all_contiguous_direct();
    all_spread_direct();
    one_banked();
    all_contiguous_banked();
    all_spread_banked();
    one_remote();
}

#[inline(never)]
fn idle() {
    drain(contiguous, ApicMode::Offload, 0, 1);
}

#[inline(never)]
fn one_direct() {
    drain(contiguous, ApicMode::Offload, 1, 1);
}

#[inline(never)]
fn four_spread_direct() {
    drain(spread, ApicMode::Offload, 4, 8);
}

#[inline(never)]
fn all_contiguous_direct() {
    drain(contiguous, ApicMode::Offload, 32, 1);
}

#[inline(never)]
fn all_spread_direct() {
    drain(spread, ApicMode::Offload, 32, 1);
}

#[inline(never)]
fn one_banked() {
    drain(contiguous, ApicMode::Banked, 1, 1);
}

#[inline(never)]
fn all_contiguous_banked() {
    drain(contiguous, ApicMode::Banked, 32, 1);
}

#[inline(never)]
fn all_spread_banked() {
    drain(spread, ApicMode::Banked, 32, 1);
}

/// One vector, posted by another CPU.
#[inline(never)]
fn one_remote() {
    let block = black_box(block_of(contiguous, ApicMode::Offload));
    for call in 0..CALLS {
        let Some(vector) = nth(call) else { return };
        let _ = block.post_trusted(vector);
        let _ = black_box(measured::drain(&block, black_box(0)));
        take_all(&block);
    }
}

/// Drains a block in which `number` of 32 slots, `step` apart, took an interrupt.
#[inline(always)]
fn drain(vector: fn(u8) -> Option<L2Vector>, mode: ApicMode, number: usize, step: usize) {
    let block = black_box(block_of(vector, mode));
    for _ in 0..CALLS {
        Slot::all().step_by(step).take(number).for_each(|slot| block.on_posted(slot));
        let _ = black_box(measured::drain(&block, black_box(0)));
        take_all(&block);
    }
}

/// L2 runs and takes all that pends.
fn take_all(block: &RelayBlock) {
    (0..8).for_each(|bank| block.page().write_bank(Register::IRR, bank, 0));
    block.resume();
}

/// Maps and unmaps on the last of `CPUS` CPUs, all of which have one slot free.
pub(crate) fn mappings() {
    of_1_cpu();
    of_2_cpus();
    of_1024_cpus();
}

#[inline(never)]
fn of_1_cpu() {
    map_and_unmap::<1>();
}

/// Where there is one CPU only, the compiler knows its index. With two it does not, as with any other number.
#[inline(never)]
fn of_2_cpus() {
    map_and_unmap::<2>();
}

#[inline(never)]
fn of_1024_cpus() {
    map_and_unmap::<1024>();
}

#[inline(always)]
fn map_and_unmap<const CPUS: usize>() {
    let blocks: Box<[RelayBlock]> = (0..CPUS).map(|_| RelayBlock::new()).collect();
    let Ok(blocks): Result<&[RelayBlock; CPUS], _> = (&*blocks).try_into() else { return };
    let (Some(reserved), Some(vector)) = (ReservedBlock::new(0x40), contiguous(31)) else { return };
    let mut relay = Relay::new(blocks, reserved);
    for cpu in 0..CPUS {
        for other in (0..31).filter_map(contiguous) {
            let _ = black_box(relay.map(cpu, other, source(0)));
        }
    }
    let last = CPUS - 1;
    for _ in 0..CALLS {
        let mapping = measured::map(&mut relay, last, vector, black_box(source(1)));
        let ticket = mapping.and_then(|mapping| measured::unmap(&mut relay, mapping));
        black_box(ticket.is_some());
        measured::service(&blocks[last]);
    }
}

/// A device that has an interrupt on each of 1,024 CPUs goes, a few times: each time the owners have all served.
#[inline(never)]
pub(crate) fn teardown_of_1024_cpus() {
    const CPUS: usize = 1024;
    const TIMES: usize = 8;
    let blocks: Box<[RelayBlock]> = (0..CPUS).map(|_| RelayBlock::new()).collect();
    let Ok(blocks): Result<&[RelayBlock; CPUS], _> = (&*blocks).try_into() else { return };
    let (Some(reserved), Some(vector)) = (ReservedBlock::new(0x40), contiguous(0)) else { return };
    let mut relay = Relay::new(blocks, reserved);
    for _ in 0..TIMES {
        for cpu in 0..CPUS {
            let _ = black_box(relay.map(cpu, vector, source(0)));
        }
        let mut teardown = relay.unmap_device(source(0).device);
        blocks.iter().for_each(|block| block.service(|| 0));
        black_box(measured::poll(&mut teardown).is_ready());
        relay.finish(teardown);
    }
}
