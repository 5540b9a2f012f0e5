// SPDX-License-Identifier: MIT OR Apache-2.0
//! Publishing a mapping against the interrupt that it causes.

use loom::{
    sync::{
        Arc,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
};
use proxy_irq::{Relay, RelayBlock, ReservedBlock, Source};

use crate::{explore, fails_under_loom, slot, told, vector};

#[test]
fn an_interrupt_of_a_told_vector_is_relayed_and_junk_before_it_is_harmless() {
    explore(|| {
        let (blocks, message) = (Arc::new([RelayBlock::new()]), Arc::new(AtomicU32::new(0)));
        let control = {
            let (blocks, message) = (Arc::clone(&blocks), Arc::clone(&message));
            thread::spawn(move || {
                let mut relay = Relay::new(&blocks, ReservedBlock::new(0x40).unwrap());
                let mapping = relay.map(0, vector(0x51), Source { device: 1, entry: 0 }).unwrap();
                // The write of the device's message register.
                message.store(mapping.reserved_vector().get().into(), Release);
            })
        };
        let block = &blocks[0];
        // The host invents an interrupt: it may hit the slot before or after it is published.
        block.on_posted(slot(0));
        let junk = told::drain(&block, 0);
        assert_eq!(junk.relayed + junk.spurious, 1);
        let told = message.load(Acquire) == 0x40;
        block.on_posted(slot(0));
        let drained = told::drain(&block, 0);
        assert!(!told || drained.spurious == 0, "a told vector was not relayed");
        control.join().unwrap();
    });
}

/// A slot, the device's message, and the interrupt handler that reads the slot.
fn told_then_posted(publish: fn(&AtomicU64, &AtomicU32)) {
    let state = Arc::new((AtomicU64::new(0), AtomicU32::new(0)));
    let control = {
        let state = Arc::clone(&state);
        thread::spawn(move || publish(&state.0, &state.1))
    };
    if state.1.load(Acquire) != 0 {
        assert_ne!(state.0.load(Relaxed), 0, "a told vector was not relayed");
    }
    control.join().unwrap();
}

#[test]
fn the_restated_order_is_right() {
    explore(|| {
        told_then_posted(|slot, message| {
            slot.store(1, Relaxed);
            message.store(1, Release);
        });
    });
}

#[test]
fn control_a_vector_told_before_its_slot_is_lost() {
    fails_under_loom("a told vector was not relayed", || {
        told_then_posted(|slot, message| {
            message.store(1, Release);
            slot.store(1, Release);
        });
    });
}

#[test]
fn control_a_message_that_orders_nothing_loses_the_interrupt() {
    fails_under_loom("a told vector was not relayed", || {
        told_then_posted(|slot, message| {
            slot.store(1, Release);
            message.store(1, Relaxed);
        });
    });
}
