// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transactions: what a completion belongs to.
//!
//! The number that goes into a packet comes back in its completion, from a host that can send any
//! number, twice, or never. So a number is an index into a table of fixed size and a generation; what
//! does not name a packet that waits is refused.

use core::fmt;

/// Packets that wait for their completions, each with what the caller wants to remember.
#[derive(Debug)]
pub struct Transactions<T, const N: usize> {
    entries: [Entry<T>; N],
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    waiting: Option<T>,
}

/// A completion of nothing that waits; the host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTransaction(pub u64);

impl<T, const N: usize> Transactions<T, N> {
    /// Returns an empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: [const { Entry { generation: 0, waiting: None } }; N] }
    }

    /// Remembers a packet and returns the number to put into it.
    ///
    /// # Errors
    ///
    /// The table is full; what was to be remembered comes back.
    pub fn begin(&mut self, what: T) -> Result<u64, T> {
        let free = (0_u32..).zip(&mut self.entries).find(|(_, entry)| entry.waiting.is_none());
        let Some((index, entry)) = free else { return Err(what) };
        entry.generation = entry.generation.wrapping_add(1);
        entry.waiting = Some(what);
        Ok(u64::from(entry.generation) << 32 | u64::from(index))
    }

    /// Returns what a completion belongs to, once.
    ///
    /// # Errors
    ///
    /// Nothing waits under this number.
    pub fn complete(&mut self, transaction: u64) -> Result<T, UnknownTransaction> {
        let [index, generation] =
            [transaction & u64::from(u32::MAX), transaction >> 32].map(u32::try_from);
        let entry = index.ok().and_then(|index| usize::try_from(index).ok());
        entry
            .and_then(|index| self.entries.get_mut(index))
            .filter(|entry| generation == Ok(entry.generation))
            .and_then(|entry| entry.waiting.take())
            .ok_or(UnknownTransaction(transaction))
    }

    /// Returns how many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.entries.iter().filter(|entry| entry.waiting.is_some()).count()
    }

    /// Returns what waits, one by one: for a channel that has ended.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.entries.iter_mut().filter_map(|entry| entry.waiting.take())
    }
}

impl<T, const N: usize> Default for Transactions<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for UnknownTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host: completion of unknown transaction {:#x}", self.0)
    }
}

impl core::error::Error for UnknownTransaction {}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_completion_counts_once() {
        let mut transactions = Transactions::<_, 2>::new();
        let first = transactions.begin('a').unwrap();
        let second = transactions.begin('b').unwrap();
        assert_eq!(transactions.begin('c'), Err('c'));
        assert_eq!(transactions.complete(first), Ok('a'));
        assert_eq!(transactions.complete(first), Err(UnknownTransaction(first)));
        // The entry is used again, the number is not.
        let third = transactions.begin('d').unwrap();
        assert_ne!(first, third);
        assert_eq!(transactions.complete(first), Err(UnknownTransaction(first)));
        assert_eq!(transactions.complete(second), Ok('b'));
        for unknown in [0, 2, 1 << 32 | 2, u64::MAX, u64::from(u32::MAX)] {
            assert_eq!(transactions.complete(unknown), Err(UnknownTransaction(unknown)));
        }
        assert_eq!(transactions.waiting(), 1);
        assert_eq!(transactions.drain().collect::<Vec<_>>(), ['d']);
    }
}
