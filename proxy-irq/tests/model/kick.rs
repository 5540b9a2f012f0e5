// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kick: an owner that left with work undone has been kicked.

use loom::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{Acquire, Relaxed, Release, SeqCst},
            fence,
        },
    },
    thread,
};
use proxy_irq::{Kick, Register, RelayBlock};

use crate::{explore, explore_bounded, fails_under_loom, told, vector};

/// One poster, or two, against an owner that drains and leaves by `leave`.
fn posters_and_leaving_owner(posters: u8, leave: fn(&RelayBlock) -> bool) {
    let block = Arc::new(RelayBlock::new());
    let kicked = Arc::new(AtomicBool::new(false));
    let posters: Vec<_> = (0..posters)
        .map(|index| {
            let (block, kicked) = (Arc::clone(&block), Arc::clone(&kicked));
            thread::spawn(move || {
                if block.post_trusted(vector(0x51 + index)) == Kick::Needed {
                    kicked.store(true, Relaxed);
                }
            })
        })
        .collect();
    let count = posters.len();
    let _ = told::drain(&block, 0);
    let left = leave(&block);
    for poster in posters {
        poster.join().unwrap();
    }
    let relayed = block.page().vectors(Register::IRR).count();
    assert!(!left || relayed == count || kicked.load(Relaxed), "a kick is missing");
}

#[test]
fn an_owner_that_entered_l2_with_work_undone_was_kicked() {
    explore(|| posters_and_leaving_owner(1, |block| block.try_enter_l2().is_ok()));
}

#[test]
fn an_owner_that_halted_with_work_undone_was_kicked() {
    explore(|| posters_and_leaving_owner(1, |block| block.try_halt().is_ok()));
}

#[test]
fn two_posters_and_an_owner_that_leaves_and_comes_back() {
    explore_bounded(3, || {
        posters_and_leaving_owner(2, |block| {
            if block.try_enter_l2().is_ok() {
                block.resume();
            }
            block.try_enter_l2().is_ok()
        });
    });
}

#[derive(Default)]
struct Cpu {
    pending: AtomicU32,
    in_l2: AtomicU32,
}

/// The two halves, each with the fence that it is given.
fn halves(owner_fence: fn(), poster_fence: fn()) {
    let cpu = Arc::new(Cpu::default());
    let poster = {
        let cpu = Arc::clone(&cpu);
        thread::spawn(move || {
            cpu.pending.fetch_or(1, Release);
            poster_fence();
            cpu.in_l2.load(Relaxed) != 0
        })
    };
    cpu.in_l2.store(1, Relaxed);
    owner_fence();
    let entered = cpu.pending.load(Acquire) == 0;
    let kicked = poster.join().unwrap();
    assert!(!entered || kicked, "a kick is missing");
}

fn full() {
    fence(SeqCst);
}

#[test]
fn the_restated_halves_are_right() {
    explore(|| halves(full, full));
}

#[test]
fn control_without_the_owners_fence_a_kick_is_missing() {
    fails_under_loom("a kick is missing", || halves(|| (), full));
}

#[test]
fn control_without_the_posters_fence_a_kick_is_missing() {
    fails_under_loom("a kick is missing", || halves(full, || ()));
}

#[test]
fn control_weaker_fences_are_not_enough() {
    let weaker = || fence(loom::sync::atomic::Ordering::AcqRel);
    fails_under_loom("a kick is missing", move || halves(weaker, weaker));
}

#[test]
fn control_an_announcement_after_the_last_look_misses_a_kick() {
    fails_under_loom("a kick is missing", || {
        let cpu = Arc::new(Cpu::default());
        let poster = {
            let cpu = Arc::clone(&cpu);
            thread::spawn(move || {
                cpu.pending.fetch_or(1, Release);
                full();
                cpu.in_l2.load(Relaxed) != 0
            })
        };
        let entered = cpu.pending.load(Acquire) == 0;
        full();
        cpu.in_l2.store(1, Relaxed);
        let kicked = poster.join().unwrap();
        assert!(!entered || kicked, "a kick is missing");
    });
}
