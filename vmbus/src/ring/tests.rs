// SPDX-License-Identifier: MIT OR Apache-2.0
extern crate alloc;

use alloc::{vec, vec::Vec};
use core::{
    cell::Cell,
    sync::atomic::{AtomicU32, Ordering},
};

use proptest::prelude::*;
use zerocopy::FromBytes;

use super::{packet::Completion, *};
use crate::{PAGE_SIZE, SharedMemory};

/// Rings beside a host that keeps the rules.
mod honest;

/// Rings beside one that does not.
mod hostile;

fn memory(data_pages: usize) -> Vec<AtomicU32> {
    (0..(data_pages + 1) * PAGE_SIZE / 4).map(|_| AtomicU32::new(0)).collect()
}

fn word(memory: &[AtomicU32], offset: usize) -> u32 {
    memory.load(offset, Ordering::Relaxed)
}

fn set(memory: &[AtomicU32], offset: usize, value: u32) {
    memory.store(offset, value, Ordering::Relaxed);
}

/// The bytes of a packet, from the table of packets.
fn packet(kind: u16, transaction: u64, start: u32, payload: &[u8]) -> Vec<u8> {
    let words = u16::try_from(2 + payload.len().div_ceil(8)).unwrap();
    let mut bytes = Vec::new();
    [kind, 2, words, 0].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    bytes.extend(transaction.to_le_bytes());
    bytes.extend(payload);
    bytes.resize(usize::from(words) * 8, 0);
    bytes.extend([0; 4]);
    bytes.extend(start.to_le_bytes());
    bytes
}

/// Memory that counts what is copied through it.
#[derive(Debug)]
struct Counting<'a> {
    memory: &'a [AtomicU32],
    read: Cell<usize>,
    written: Cell<usize>,
    words: Cell<usize>,
}

impl<'a> Counting<'a> {
    fn new(memory: &'a [AtomicU32]) -> Self {
        Self { memory, read: Cell::new(0), written: Cell::new(0), words: Cell::new(0) }
    }

    fn count(count: &Cell<usize>, by: usize) {
        count.set(count.get() + by);
    }
}

impl SharedMemory for Counting<'_> {
    fn size(&self) -> usize {
        self.memory.size()
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        Self::count(&self.words, 1);
        self.memory.load(offset, ordering)
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        Self::count(&self.words, 1);
        self.memory.store(offset, value, ordering);
    }

    fn swap(&self, _: usize, _: u32, _: Ordering) -> u32 {
        panic!("a ring exchanges nothing")
    }

    fn fetch_or(&self, _: usize, _: u32, _: Ordering) -> u32 {
        panic!("a ring sets no bits")
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        Self::count(&self.read, bytes.len());
        self.memory.read(offset, bytes);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        Self::count(&self.written, bytes.len());
        self.memory.write(offset, bytes);
    }
}
