// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mailbox's numbers: a request that is said to be served has been served.

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
use proxy_irq::{Relay, RelayBlock, ReservedBlock, SlotWord, Source};

use crate::{explore, fails_under_loom, slot, vector};

#[test]
fn two_requests_are_each_served_when_they_are_said_to_be() {
    explore(|| {
        let blocks = Arc::new([RelayBlock::new()]);
        let requester = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || {
                let mut relay = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
                let map = |relay: &mut Relay<'_, 1>, entry| {
                    relay.map(0, vector(0x51), Source { device: 1, entry }).unwrap()
                };
                let mappings = [map(&mut relay, 0), map(&mut relay, 1)];
                let tickets = mappings.map(|mapping| relay.unmap(mapping).unwrap());
                for (ticket, slot) in tickets.iter().zip([slot(0), slot(1)]) {
                    if ticket.poll().is_ready() {
                        assert_eq!(blocks[0].slot_word(slot), SlotWord::unmapped(slot));
                    }
                }
            })
        };
        blocks[0].service(|| 0);
        blocks[0].service(|| 0);
        requester.join().unwrap();
        blocks[0].service(|| 0);
        assert_eq!(blocks[0].slot_word(slot(0)), SlotWord::unmapped(slot(0)));
        assert_eq!(blocks[0].slot_word(slot(1)), SlotWord::unmapped(slot(1)));
    });
}

#[test]
fn a_request_that_is_served_before_its_number_is_served_right() {
    explore(|| {
        let blocks = Arc::new([RelayBlock::new()]);
        let requester = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || {
                let mut relay = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
                let [first, second] = [0, 1]
                    .map(|entry| relay.map(0, vector(0x51), Source { device: 1, entry }).unwrap());
                let _ = relay.unmap(first).unwrap();
                let _ = relay.mask(&second).unwrap();
            })
        };
        blocks[0].service(|| 0);
        requester.join().unwrap();
        blocks[0].service(|| 0);
        assert_eq!(blocks[0].slot_word(slot(1)), SlotWord::held(slot(1)));
    });
}

#[derive(Default)]
struct Mailbox {
    requested: AtomicU32,
    bits: AtomicU32,
    done: AtomicU32,
    served: AtomicU32,
}

impl Mailbox {
    fn execute(&self, number: u32, bits: u32) {
        self.done.store(self.done.load(Relaxed) | bits, Relaxed);
        self.served.store(number, Release);
    }
}

/// One request against an owner that serves once.
fn request_and_serve(request: fn(&Mailbox) -> u32, serve: fn(&Mailbox)) {
    let mailbox = Arc::new(Mailbox::default());
    let owner = {
        let mailbox = Arc::clone(&mailbox);
        thread::spawn(move || serve(&mailbox))
    };
    let number = request(&mailbox);
    if mailbox.served.load(Acquire) >= number {
        assert_eq!(mailbox.done.load(Relaxed), 1, "a request was said to be served");
    }
    owner.join().unwrap();
}

fn bit_then_number(mailbox: &Mailbox) -> u32 {
    mailbox.bits.fetch_or(1, Release);
    mailbox.requested.fetch_add(1, Release) + 1
}

fn number_then_bits(mailbox: &Mailbox) {
    let number = mailbox.requested.load(Acquire);
    let bits = mailbox.bits.swap(0, Acquire);
    mailbox.execute(number, bits);
}

#[test]
fn the_restated_mailbox_is_right() {
    explore(|| request_and_serve(bit_then_number, number_then_bits));
}

#[test]
fn control_bits_read_before_the_number_serve_too_little() {
    let serve = |mailbox: &Mailbox| {
        let bits = mailbox.bits.swap(0, Acquire);
        let number = mailbox.requested.load(Acquire);
        mailbox.execute(number, bits);
    };
    fails_under_loom("a request was said to be served", move || {
        request_and_serve(bit_then_number, serve);
    });
}

#[test]
fn control_a_number_taken_before_the_bit_is_served_too_early() {
    let request = |mailbox: &Mailbox| {
        let number = mailbox.requested.fetch_add(1, Release) + 1;
        mailbox.bits.fetch_or(1, Release);
        number
    };
    fails_under_loom("a request was said to be served", move || {
        request_and_serve(request, number_then_bits);
    });
}

#[test]
fn control_an_answer_before_the_change_is_a_lie() {
    let serve = |mailbox: &Mailbox| {
        let number = mailbox.requested.load(Acquire);
        let bits = mailbox.bits.swap(0, Acquire);
        mailbox.served.store(number, Release);
        mailbox.done.store(bits, Relaxed);
    };
    fails_under_loom("a request was said to be served", move || {
        request_and_serve(bit_then_number, serve);
    });
}

#[test]
fn control_a_relaxed_answer_is_a_lie() {
    let serve = |mailbox: &Mailbox| {
        let number = mailbox.requested.load(Acquire);
        let bits = mailbox.bits.swap(0, Acquire);
        mailbox.done.store(bits, Relaxed);
        mailbox.served.store(number, Relaxed);
    };
    fails_under_loom("a request was said to be served", move || {
        request_and_serve(bit_then_number, serve);
    });
}
