// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that takes packets out of a ring as it likes, also while the ring is written.
//!
//! The memory keeps accounts of its own: what the writer was told of the host's reading, and what it
//! wrote. The writer must never write over what it was not told is read, and never believe that more
//! was read than it showed.

use core::{cell::Cell, sync::atomic::Ordering};

use vmbus::{
    PAGE_SIZE, SharedMemory,
    ring::{Outgoing, WriteError, Writer, packet::Completion},
};

use crate::{Input, synic_pages::Changing};

/// Packets that an input describes: two bytes each.
const PACKETS: usize = 24;

/// Offsets in the control page.
const IN: usize = 0;
const OUT: usize = 4;
const INTERRUPT_MASK: usize = 8;

/// Memory with accounts, in bytes since the start.
struct Watched<'a> {
    memory: Changing<'a>,
    size: u32,
    index_in: Cell<u32>,
    index_out: Cell<u32>,
    shown: Cell<u64>,
    read: Cell<u64>,
    /// The next look at *out* decides about a signal only.
    peek: Cell<Peek>,
}

#[derive(Clone, Copy, PartialEq)]
enum Peek {
    Yes,
    No,
}

impl Watched<'_> {
    fn distance(&self, from: u32, to: u32) -> u64 {
        u64::from((to + self.size - from) % self.size)
    }

    fn looked_at_out(&self, out: u32) {
        let valid = out < self.size && out.is_multiple_of(8);
        if self.peek.replace(Peek::No) == Peek::No && valid {
            let moved = self.distance(self.index_out.replace(out), out);
            self.read.set(self.read.get() + moved);
        }
    }
}

impl SharedMemory for Watched<'_> {
    fn size(&self) -> usize {
        self.memory.size()
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        let value = self.memory.load(offset, ordering);
        match (offset, value) {
            (OUT, out) => self.looked_at_out(out),
            (INTERRUPT_MASK, 0) => self.peek.set(Peek::Yes),
            _ => {}
        }
        value
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        if offset == IN {
            let moved = self.distance(self.index_in.replace(value), value);
            self.shown.set(self.shown.get() + moved);
        }
        self.memory.store(offset, value, ordering);
    }

    fn swap(&self, offset: usize, value: u32, ordering: Ordering) -> u32 {
        self.memory.swap(offset, value, ordering)
    }

    fn fetch_or(&self, offset: usize, bits: u32, ordering: Ordering) -> u32 {
        self.memory.fetch_or(offset, bits, ordering)
    }

    fn read(&self, _: usize, _: &mut [u8]) {
        unreachable!("a writer reads no data");
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset >= PAGE_SIZE);
        self.memory.write(offset, bytes);
    }
}

/// Writes packets of the lengths that the input says, while the host goes on.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let Some(shape) = input.byte() else { return };
    let pages = u32::from(shape & 3) + 1;
    let size = pages * 4096;
    let mut lengths = Input::new(input.bytes(2 * PACKETS));
    let memory = Watched {
        memory: Changing::new(PAGE_SIZE * (usize::from(shape & 3) + 2), input),
        size,
        index_in: Cell::new(0),
        index_out: Cell::new(0),
        shown: Cell::new(0),
        read: Cell::new(0),
        peek: Cell::new(Peek::No),
    };
    let mut writer = Writer::new(&memory).expect("the memory is a control page and data");
    let payload = vec![0x5a; 5 * PAGE_SIZE];
    let mut written = 0;
    while let Some(length) = lengths.byte() {
        let flags = lengths.byte().unwrap_or(0);
        let length = usize::from(length) << (flags & 7);
        let (first, second) = payload[..length.min(payload.len())].split_at(length / 3);
        let headers: &[u8] = if flags & 8 == 0 { &[] } else { &[9; 24] };
        let pieces = [first, second];
        let plain = Outgoing::in_band(Completion::Wanted, 1 << 40, &pieces);
        let packet = Outgoing { headers, ..plain };
        let bytes = Writer::<&Watched<'_>>::packet_size(&packet).expect("it has a size");
        let before = writer.fault();
        match writer.push(&packet) {
            Ok(()) => written += u64::from(bytes),
            Err(WriteError::Full) => {}
            Err(WriteError::Size) => assert!(bytes + 8 > size),
            Err(WriteError::Host(fault)) => {
                assert_eq!(writer.fault(), Some(fault));
                assert!(before.is_none_or(|before| before == fault), "a fault is final");
                continue;
            }
        }
        assert_eq!(writer.fault(), None);
        assert!(memory.read.get() <= memory.shown.get(), "more was read than was shown");
        assert!(written + 8 <= memory.read.get() + u64::from(size), "unread bytes overwritten");
        if flags & 16 == 0 {
            let _ = writer.publish();
            assert_eq!(written, memory.shown.get());
        }
    }
}
