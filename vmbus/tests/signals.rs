// SPDX-License-Identifier: MIT OR Apache-2.0
//! Explores the signalling rules of rings with loom: nobody sleeps while there is something to do.
//!
//! The model's sides sleep where a real one would wait for an interrupt, and count as stuck if the
//! other one ends without having signalled. The store and load at the bottom of each rule are explored
//! again by hand, with the fence of one side left out: then loom must find the lost signal, or it could
//! not have found it in the rules.
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::{
    Arc,
    atomic::{AtomicU32 as Plain, Ordering},
};

use loom::{sync::atomic::AtomicU32, thread};
use vmbus::{
    PAGE_SIZE, SharedMemory,
    ring::{Notify, Outgoing, Reader, Waiting, WriteError, Writer, packet::Completion},
};

/// A ring of one page: loom explores the words of the control page. The data is no part of the
/// question and costs no states.
struct Shared {
    control: [AtomicU32; 4],
    feature_bits: Plain,
    data: Vec<Plain>,
}

impl Shared {
    fn new() -> Arc<Self> {
        let data = (0..PAGE_SIZE / 4).map(|_| Plain::new(0)).collect();
        let control = std::array::from_fn(|_| AtomicU32::new(0));
        Arc::new(Self { control, feature_bits: Plain::new(0), data })
    }
}

struct Memory(Arc<Shared>);

impl SharedMemory for Memory {
    fn size(&self) -> usize {
        2 * PAGE_SIZE
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        match self.0.control.get(offset / 4) {
            Some(word) => word.load(ordering),
            None => self.0.feature_bits.load(ordering),
        }
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        match self.0.control.get(offset / 4) {
            Some(word) => word.store(value, ordering),
            None => self.0.feature_bits.store(value, ordering),
        }
    }

    fn swap(&self, _: usize, _: u32, _: Ordering) -> u32 {
        unreachable!("a ring exchanges nothing")
    }

    fn fetch_or(&self, _: usize, _: u32, _: Ordering) -> u32 {
        unreachable!("a ring sets no bits")
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.0.data[..].read(offset - PAGE_SIZE, bytes);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        self.0.data[..].write(offset - PAGE_SIZE, bytes);
    }
}

const EMPTY: Outgoing<'_> = Outgoing::in_band(Completion::NotWanted, 0, &[]);

/// A writer that writes one packet, and whether it signalled.
fn write_one(shared: Arc<Shared>) -> thread::JoinHandle<Notify> {
    let mut writer = Writer::new(Memory(shared)).unwrap();
    thread::spawn(move || writer.write(&EMPTY).unwrap())
}

#[test]
fn a_reader_that_waits_is_signalled() {
    loom::model(|| {
        let shared = Shared::new();
        let mut reader = Reader::new(Memory(shared.clone())).unwrap();
        let writer = write_one(shared);
        let read = reader.receive().unwrap().is_some();
        let (waiting, _) = reader.before_waiting().unwrap();
        let signalled = writer.join().unwrap() == Notify::Signal;
        assert!(read || waiting == Waiting::Packet || signalled, "the reader sleeps for ever");
    });
}

#[test]
fn a_reader_that_polled_is_signalled_after_it_unmasks() {
    loom::model(|| {
        let shared = Shared::new();
        let mut reader = Reader::new(Memory(shared.clone())).unwrap();
        reader.mask_interrupts();
        let writer = write_one(shared);
        let (waiting, _) = reader.unmask_interrupts().unwrap();
        let signalled = writer.join().unwrap() == Notify::Signal;
        assert!(waiting == Waiting::Packet || signalled, "the reader sleeps for ever");
    });
}

#[test]
fn a_reader_that_empties_the_ring_is_signalled_for_the_next_packet() {
    loom::model(|| {
        let shared = Shared::new();
        let mut writer = Writer::new(Memory(shared.clone())).unwrap();
        let mut reader = Reader::new(Memory(shared)).unwrap();
        assert_eq!(writer.write(&EMPTY), Ok(Notify::Signal));
        let writer = thread::spawn(move || writer.write(&EMPTY).unwrap());
        let mut read = 0;
        while reader.receive().unwrap().is_some() {
            read += 1;
        }
        let (waiting, _) = reader.before_waiting().unwrap();
        let signalled = writer.join().unwrap() == Notify::Signal;
        assert!(read == 2 || waiting == Waiting::Packet || signalled, "the reader sleeps for ever");
    });
}

/// Fills a ring, so that nothing more fits.
fn full(shared: &Arc<Shared>) -> (Writer<Memory>, Reader<Memory>, Vec<u8>) {
    let mut writer = Writer::new(Memory(shared.clone())).unwrap();
    let reader = Reader::new(Memory(shared.clone())).unwrap();
    let half = vec![0; 2000];
    for _ in 0..2 {
        let _ = writer.write(&Outgoing { payload: &[&half], ..EMPTY }).unwrap();
    }
    (writer, reader, half)
}

#[test]
fn a_writer_that_waits_for_room_is_signalled() {
    loom::model(|| {
        let shared = Shared::new();
        let (mut writer, mut reader, half) = full(&shared);
        let reader = thread::spawn(move || {
            assert!(reader.receive().unwrap().is_some());
            let first = reader.release();
            assert!(reader.receive().unwrap().is_some());
            let second = reader.release();
            first == Notify::Signal || second == Notify::Signal
        });
        let result = writer.write(&Outgoing { payload: &[&half], ..EMPTY });
        let signalled = reader.join().unwrap();
        assert!(result != Err(WriteError::Full) || signalled, "the writer sleeps for ever");
    });
}

/// The same rules by hand, with the fence of either side in or left out.
fn store_load(shared: &Shared, mine: usize, other: usize, fence: Fence) -> u32 {
    shared.control[mine].store(24, Ordering::Release);
    if fence == Fence::Full {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
    shared.control[other].load(Ordering::Acquire)
}

#[derive(Clone, Copy, PartialEq)]
enum Fence {
    Full,
    None,
}

/// Writer and reader of a ring with one packet, reduced to their store and their load: the writer
/// stores *in* and loads *out*, the reader stores *out* and loads *in*.
fn both_miss(fences: [Fence; 2]) {
    loom::model(move || {
        let shared = Shared::new();
        let writer = {
            let shared = shared.clone();
            thread::spawn(move || store_load(&shared, 0, 1, fences[0]))
        };
        let seen_in = store_load(&shared, 1, 0, fences[1]);
        let seen_out = writer.join().unwrap();
        assert!(seen_in != 0 || seen_out != 0, "both sides miss each other");
    });
}

#[test]
fn two_fences_are_enough() {
    both_miss([Fence::Full, Fence::Full]);
}

#[test]
#[should_panic(expected = "both sides miss each other")]
fn without_the_writers_fence_both_miss() {
    both_miss([Fence::None, Fence::Full]);
}

#[test]
#[should_panic(expected = "both sides miss each other")]
fn without_the_readers_fence_both_miss() {
    both_miss([Fence::Full, Fence::None]);
}
