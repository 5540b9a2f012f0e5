// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that the host reads and writes at the same time: the one door to it.
//!
//! Nothing read through it is a fact: a second read of the same place may give something else. The
//! modules of this crate therefore read every field once, into a local, and check the local.
//!
//! Words are 32 bits, little-endian and aligned, as the protocols have them. Whoever maps the pages
//! implements the trait with volatile or atomic accesses; where the pages can be seen as atomics,
//! the implementation for `[AtomicU32]` is all it takes.

use core::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;

const WORD: usize = size_of::<u32>();

/// Pages that the host can change at any time.
///
/// Offsets count bytes from the start. No implementation panics: of what lies outside, reads give
/// zeros and writes do nothing. The modules here never ask for it.
pub trait SharedMemory {
    /// Bytes; never changes.
    fn size(&self) -> usize;

    /// Reads the aligned word at `offset`.
    fn load(&self, offset: usize, ordering: Ordering) -> u32;

    /// Writes the aligned word at `offset`.
    fn store(&self, offset: usize, value: u32, ordering: Ordering);

    /// Exchanges the aligned word at `offset`, in one locked step.
    fn swap(&self, offset: usize, value: u32, ordering: Ordering) -> u32;

    /// Sets bits of the aligned word at `offset`, in one locked step; returns what it was.
    fn fetch_or(&self, offset: usize, bits: u32, ordering: Ordering) -> u32;

    /// Copies out of the memory, each byte read once, in no particular order.
    fn read(&self, offset: usize, bytes: &mut [u8]);

    /// Copies into the memory, in no particular order.
    fn write(&self, offset: usize, bytes: &[u8]);
}

impl<M: SharedMemory + ?Sized> SharedMemory for &M {
    fn size(&self) -> usize {
        (**self).size()
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        (**self).load(offset, ordering)
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        (**self).store(offset, value, ordering);
    }

    fn swap(&self, offset: usize, value: u32, ordering: Ordering) -> u32 {
        (**self).swap(offset, value, ordering)
    }

    fn fetch_or(&self, offset: usize, bits: u32, ordering: Ordering) -> u32 {
        (**self).fetch_or(offset, bits, ordering)
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        (**self).read(offset, bytes);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        (**self).write(offset, bytes);
    }
}

impl SharedMemory for [AtomicU32] {
    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn load(&self, offset: usize, ordering: Ordering) -> u32 {
        word(self, offset).map_or(0, |word| u32::from_le(word.load(ordering)))
    }

    fn store(&self, offset: usize, value: u32, ordering: Ordering) {
        if let Some(word) = word(self, offset) {
            word.store(value.to_le(), ordering);
        }
    }

    fn swap(&self, offset: usize, value: u32, ordering: Ordering) -> u32 {
        word(self, offset).map_or(0, |word| u32::from_le(word.swap(value.to_le(), ordering)))
    }

    fn fetch_or(&self, offset: usize, bits: u32, ordering: Ordering) -> u32 {
        word(self, offset).map_or(0, |word| u32::from_le(word.fetch_or(bits.to_le(), ordering)))
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        let (head, rest) = bytes.split_at_mut(to_boundary(offset).min(bytes.len()));
        copy_out(self, offset, head);
        let (whole, tail) = rest.as_chunks_mut();
        let (words, behind) = whole_words(self, offset.saturating_add(head.len()), whole.len());
        let (inside, outside) = whole.split_at_mut(words.len());
        for (bytes, word) in inside.iter_mut().zip(words) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        outside.fill([0; WORD]);
        copy_out(self, behind, tail);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(to_boundary(offset).min(bytes.len()));
        copy_in(self, offset, head);
        let (whole, tail) = rest.as_chunks();
        let (words, behind) = whole_words(self, offset.saturating_add(head.len()), whole.len());
        for (bytes, word) in whole.iter().zip(words) {
            word.store(u32::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        copy_in(self, behind, tail);
    }
}

/// Returns the words from an aligned offset, as many of `count` as there are, and the offset behind
/// all of them.
fn whole_words(words: &[AtomicU32], offset: usize, count: usize) -> (&[AtomicU32], usize) {
    let words = words.get(offset / WORD..).unwrap_or_default();
    let behind = offset.saturating_add(count.saturating_mul(WORD));
    (words.get(..count).unwrap_or(words), behind)
}

fn word(words: &[AtomicU32], offset: usize) -> Option<&AtomicU32> {
    words.get(offset / WORD)
}

/// Bytes from `offset` to the next word.
const fn to_boundary(offset: usize) -> usize {
    offset.wrapping_neg() % WORD
}

/// Copies a part of a word.
fn copy_out(words: &[AtomicU32], offset: usize, bytes: &mut [u8]) {
    if bytes.is_empty() {
        return;
    }
    let value = word(words, offset).map_or(0, |word| word.load(Ordering::Relaxed)).to_ne_bytes();
    for (to, from) in bytes.iter_mut().zip(value.into_iter().skip(offset % WORD)) {
        *to = from;
    }
}

/// Copies into a part of a word, which is read, changed and written back: this side is the only
/// writer of what it writes.
fn copy_in(words: &[AtomicU32], offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let Some(word) = word(words, offset) else { return };
    let mut value = word.load(Ordering::Relaxed).to_ne_bytes();
    for (to, from) in value.iter_mut().skip(offset % WORD).zip(bytes) {
        *to = *from;
    }
    word.store(u32::from_ne_bytes(value), Ordering::Relaxed);
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    extern crate alloc;

    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    fn pages(words: usize) -> Vec<AtomicU32> {
        (0..words).map(|_| AtomicU32::new(0)).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_else_changes(
            offset in 0_usize..40,
            bytes in proptest::collection::vec(any::<u8>(), 0..24),
        ) {
            let memory = pages(16);
            let mut plain = vec![0_u8; 64];
            plain[offset..offset + bytes.len()].copy_from_slice(&bytes);
            memory.write(offset, &bytes);
            let mut all = vec![0_u8; 64];
            memory.read(0, &mut all);
            prop_assert_eq!(&all, &plain);
            let mut part = vec![0_u8; bytes.len()];
            memory.read(offset, &mut part);
            prop_assert_eq!(part, bytes);
        }
    }

    #[test]
    fn what_lies_outside_reads_as_zero_and_takes_no_write() {
        let memory = pages(1);
        memory.write(2, &[1, 2, 3, 4]);
        memory.store(4, 7, Ordering::Relaxed);
        let mut bytes = [9; 6];
        memory.read(0, &mut bytes);
        assert_eq!(bytes, [0, 0, 1, 2, 0, 0]);
        assert_eq!(memory.load(usize::MAX, Ordering::Relaxed), 0);
    }
}
