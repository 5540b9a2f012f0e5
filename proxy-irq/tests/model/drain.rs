// SPDX-License-Identifier: MIT OR Apache-2.0
//! Remote posts against the owner's drain: nothing lost, nothing twice.

use loom::{
    sync::{
        Arc,
        atomic::{
            AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
};
use proxy_irq::RelayBlock;

use crate::{explore, fails_under_loom, slot, told, vector};

/// Drains, lets L2 take what came, and returns how many vectors that were.
fn drain_and_deliver(block: &RelayBlock) -> u32 {
    let apic = block.page();
    let drained = told::drain(&block, 0);
    while let Some(vector) = apic.deliverable() {
        apic.deliver(vector);
        apic.end_of_interrupt();
    }
    block.resume();
    drained.relayed
}

/// Two posters against an owner that drains twice; each vector must come once.
fn two_posters_and_one_owner(numbers: [u8; 2]) {
    let block = Arc::new(RelayBlock::new());
    let posters = numbers.map(|number| {
        let block = Arc::clone(&block);
        thread::spawn(move || {
            let _ = block.post_trusted(vector(number));
        })
    });
    let mut relayed = drain_and_deliver(&block) + drain_and_deliver(&block);
    for poster in posters {
        poster.join().unwrap();
    }
    relayed += drain_and_deliver(&block);
    assert_eq!(relayed, 2);
    assert!(block.work().is_empty());
}

#[test]
fn two_posters_of_two_dwords_and_one_owner() {
    explore(|| two_posters_and_one_owner([0x51, 0x91]));
}

#[test]
fn two_posters_of_one_dword_and_one_owner() {
    explore(|| two_posters_and_one_owner([0x51, 0x52]));
}

#[test]
fn two_posters_of_one_vector_and_the_owners_interrupts() {
    explore(|| {
        let block = Arc::new(RelayBlock::new());
        let posters = [(); 2].map(|()| {
            let block = Arc::clone(&block);
            thread::spawn(move || {
                let _ = block.post_trusted(vector(0x51));
            })
        });
        block.on_posted(slot(3));
        let mut relayed = drain_and_deliver(&block);
        block.on_posted(slot(4));
        for poster in posters {
            poster.join().unwrap();
        }
        relayed += drain_and_deliver(&block);
        assert!((1..=2).contains(&relayed), "{relayed}");
        assert_eq!(block.figures().spurious, 2);
        assert_eq!(drain_and_deliver(&block), 0);
    });
}

/// A bank of two posters' words and the flag that says so.
#[derive(Default)]
struct Bank {
    words: [AtomicU32; 2],
    flag: AtomicU32,
}

impl Bank {
    /// The drain as it is in the crate.
    fn drain(&self) -> u32 {
        if self.flag.load(Relaxed) == 0 {
            return 0;
        }
        self.flag.swap(0, Acquire);
        self.take()
    }

    fn take(&self) -> u32 {
        let take =
            |word: &AtomicU32| if word.load(Relaxed) == 0 { 0 } else { word.swap(0, Relaxed) };
        self.words.iter().map(take).sum()
    }
}

/// Two posters and an owner; each post is 1, so the owner must find 2.
fn posters_and_owner(post: fn(&Bank, &AtomicU32), drain: fn(&Bank) -> u32) {
    let bank = Arc::new(Bank::default());
    let posters = [0, 1].map(|index| {
        let bank = Arc::clone(&bank);
        thread::spawn(move || post(&bank, &bank.words[index]))
    });
    let mut found = drain(&bank);
    for poster in posters {
        poster.join().unwrap();
    }
    found += drain(&bank);
    assert_eq!(found, 2, "a post was lost");
}

fn word_then_flag(bank: &Bank, word: &AtomicU32) {
    word.fetch_or(1, Relaxed);
    bank.flag.fetch_or(1, Release);
}

#[test]
fn the_restated_protocol_is_right() {
    explore(|| posters_and_owner(word_then_flag, Bank::drain));
}

#[test]
fn control_a_flag_by_plain_store_loses_a_post() {
    let post = |bank: &Bank, word: &AtomicU32| {
        word.fetch_or(1, Relaxed);
        bank.flag.store(1, Release);
    };
    fails_under_loom("a post was lost", move || posters_and_owner(post, Bank::drain));
}

#[test]
fn control_a_flag_before_the_word_loses_a_post() {
    let post = |bank: &Bank, word: &AtomicU32| {
        bank.flag.fetch_or(1, Release);
        word.fetch_or(1, Relaxed);
    };
    fails_under_loom("a post was lost", move || posters_and_owner(post, Bank::drain));
}

#[test]
fn control_a_relaxed_flag_loses_a_post() {
    let post = |bank: &Bank, word: &AtomicU32| {
        word.fetch_or(1, Relaxed);
        bank.flag.fetch_or(1, Relaxed);
    };
    fails_under_loom("a post was lost", move || posters_and_owner(post, Bank::drain));
}

#[test]
fn control_a_flag_cleared_after_the_words_loses_a_post() {
    let drain = |bank: &Bank| {
        if bank.flag.load(Acquire) == 0 {
            return 0;
        }
        let found = bank.take();
        bank.flag.swap(0, Acquire);
        found
    };
    fails_under_loom("a post was lost", move || posters_and_owner(word_then_flag, drain));
}

#[test]
fn control_a_word_emptied_by_load_and_store_loses_a_post() {
    // Both posters use one word here, as two vectors of one dword do.
    let body = || {
        let bank = Arc::new(Bank::default());
        let poster = {
            let bank = Arc::clone(&bank);
            thread::spawn(move || {
                bank.words[0].fetch_or(2, Relaxed);
                bank.flag.fetch_or(1, Release);
            })
        };
        let drain = |bank: &Bank| {
            bank.flag.swap(0, Acquire);
            let bits = bank.words[0].load(Relaxed);
            bank.words[0].store(0, Relaxed);
            bits
        };
        let mut found = drain(&bank);
        poster.join().unwrap();
        found |= drain(&bank);
        assert_eq!(found, 2, "a post was lost");
    };
    fails_under_loom("a post was lost", body);
}
