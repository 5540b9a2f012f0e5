// SPDX-License-Identifier: MIT OR Apache-2.0
//! A post that finds the flag set sends no kick: whoever set it does, and its bit is found.

use loom::{
    sync::{
        Arc,
        atomic::{
            AtomicU32,
            Ordering::{Acquire, Relaxed},
            fence,
        },
    },
    thread,
};
use proxy_irq::{Kick, RelayBlock};

use crate::{explore, fails_under_loom, told, vector};

/// Two posters, the second of which may find the flag of the first, against an owner that drains,
/// enters L2, and comes back when it is kicked. Returns how many kicks there were.
fn posters_and_owner(trusted: bool) {
    let block = Arc::new(RelayBlock::new());
    let posters = [0x51, 0x91].map(|number| {
        let block = Arc::clone(&block);
        thread::spawn(move || {
            let (first, second) = (vector(number), vector(number + 1));
            let post =
                || if trusted { block.post_trusted(first) } else { block.post_remote(first) };
            let kicks = [post(), block.post_trusted(second)];
            kicks.into_iter().any(|kick| kick == Kick::Needed)
        })
    });
    let mut rvi = told::drain(&block, 0).rvi;
    let left = block.try_enter_l2().is_ok();
    let kicked = posters.map(|poster| poster.join().unwrap()).contains(&true);
    let work = !block.work().is_empty();
    assert!(!left || kicked || !work, "L2 runs on with work for it and no kick");
    block.resume();
    rvi = told::drain(&block, rvi).rvi;
    assert_eq!(rvi, 0x92);
    let pending = block.page().vectors(proxy_irq::Register::IRR).count();
    assert_eq!(pending, if trusted { 4 } else { 2 }, "a post was lost");
    assert!(block.work().is_empty());
}

#[test]
fn a_post_that_finds_the_flag_set_is_found_and_needs_no_kick_of_its_own() {
    explore(|| posters_and_owner(true));
}

#[test]
fn a_filtered_post_beside_it_changes_nothing() {
    explore(|| posters_and_owner(false));
}

#[test]
fn the_second_post_to_a_cpu_in_l2_sends_no_kick() {
    explore(|| {
        let block = RelayBlock::new();
        assert!(block.try_enter_l2().is_ok());
        assert_eq!(block.post_trusted(vector(0x51)), Kick::Needed);
        assert_eq!(block.post_trusted(vector(0x52)), Kick::NotNeeded);
        block.resume();
        let _ = told::drain(&block, 0);
        assert!(block.try_enter_l2().is_ok());
        assert_eq!(block.post_trusted(vector(0x51)), Kick::Needed, "the flag outlived its drain");
    });
}

#[derive(Default)]
struct Cpu {
    word: AtomicU32,
    flag: AtomicU32,
}

/// The flag is set already, by a poster whose work the owner is about to fetch; a second poster relies
/// on it. Each side writes one word and then reads the other, with the fence that it is given.
fn second_post(poster_fence: fn(), owner_fence: fn()) {
    let cpu = Arc::new(Cpu::default());
    cpu.flag.store(1, Relaxed);
    let poster = {
        let cpu = Arc::clone(&cpu);
        thread::spawn(move || {
            cpu.word.store(1, Relaxed);
            poster_fence();
            cpu.flag.load(Relaxed) != 0
        })
    };
    cpu.flag.swap(0, Acquire);
    owner_fence();
    let found = cpu.word.load(Relaxed) != 0;
    let relied = poster.join().unwrap();
    assert!(found || !relied, "a post was lost");
}

fn full() {
    fence(loom::sync::atomic::Ordering::SeqCst);
}

#[test]
fn the_restated_suppression_is_right() {
    explore(|| second_post(full, full));
}

#[test]
fn control_without_the_posters_fence_a_post_is_lost() {
    fails_under_loom("a post was lost", || second_post(|| (), full));
}

#[test]
fn control_without_the_owners_fence_a_post_is_lost() {
    fails_under_loom("a post was lost", || second_post(full, || ()));
}

#[test]
fn control_a_flag_cleared_after_the_word_was_read_loses_a_post() {
    fails_under_loom("a post was lost", || {
        let cpu = Arc::new(Cpu::default());
        cpu.flag.store(1, Relaxed);
        let poster = {
            let cpu = Arc::clone(&cpu);
            thread::spawn(move || {
                cpu.word.fetch_or(1, Relaxed);
                full();
                cpu.flag.load(Relaxed) != 0
            })
        };
        let found = cpu.word.swap(0, Relaxed) != 0;
        full();
        cpu.flag.swap(0, Acquire);
        let relied = poster.join().unwrap();
        assert!(found || !relied, "a post was lost");
    });
}
