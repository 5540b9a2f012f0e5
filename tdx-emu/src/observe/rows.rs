// SPDX-License-Identifier: MIT OR Apache-2.0
//! One row of figures for each relay path: device message, reserved vector, vector of L2.
//!
//! Rows belong to one CPU, which alone adds to them; the report reads them at the end.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::counter::Counter;

/// Most rows of one CPU: each mapping that L2 ever makes takes one.
pub(crate) const ROWS: usize = 1024;

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Where the message came from.
    pub(crate) source: u8,
    /// The vector in which L1 took it.
    pub(crate) reserved: u8,
    /// The vector in which L2 got it.
    pub(crate) vector: u8,
}

impl Key {
    const USED: u64 = 1 << 63;

    fn word(self) -> u64 {
        Self::USED
            | u64::from(self.source) << 16
            | u64::from(self.reserved) << 8
            | u64::from(self.vector)
    }

    fn from_word(word: u64) -> Option<Self> {
        let [vector, reserved, source, ..] = word.to_le_bytes();
        (word & Self::USED != 0).then_some(Self { source, reserved, vector })
    }
}

/// The figures of one relay path.
#[derive(Debug)]
pub(crate) struct Row {
    key: AtomicU64,
    /// Messages that the device sent.
    pub(crate) messages: Counter,
    /// Deliveries to L2.
    pub(crate) relayed: Counter,
    /// Of these, those before the device's interrupts were last switched on.
    earlier: Counter,
    /// Messages that found an earlier one still pending.
    pub(crate) merged: Counter,
    /// Taken by L1 and not yet delivered to L2.
    pub(crate) in_flight: Counter,
    /// TD exits for its own sake during the passes that relayed this path.
    pub(crate) host_exits: Counter,
    /// TDVMCALLs during those passes.
    pub(crate) tdvmcalls: Counter,
    /// Exits during those passes that an interrupt of the host's own caused.
    pub(crate) interruptions: Counter,
}

impl Row {
    const fn new() -> Self {
        Self {
            key: AtomicU64::new(0),
            messages: Counter::new(),
            relayed: Counter::new(),
            earlier: Counter::new(),
            merged: Counter::new(),
            in_flight: Counter::new(),
            host_exits: Counter::new(),
            tdvmcalls: Counter::new(),
            interruptions: Counter::new(),
        }
    }

    /// The device's interrupts are switched on: what was relayed so far belongs to an earlier life.
    pub(crate) fn restart(&self) {
        self.earlier.take();
        self.earlier.add(self.relayed.get());
    }

    /// Deliveries to L2 since the device's interrupts were last switched on.
    pub(crate) fn relayed_lately(&self) -> u64 {
        self.relayed.get().saturating_sub(self.earlier.get())
    }

    /// What the row counts; `None` while unused.
    pub(crate) fn key(&self) -> Option<Key> {
        Key::from_word(self.key.load(Relaxed))
    }
}

/// The rows of one CPU.
#[derive(Debug)]
pub(crate) struct Rows {
    rows: [Row; ROWS],
    /// Messages that found no row.
    pub(crate) untold: Counter,
}

impl Rows {
    /// No row in use.
    pub(crate) const fn new() -> Self {
        Self { rows: [const { Row::new() }; ROWS], untold: Counter::new() }
    }

    /// Finds or opens the row of `key`; `None` when all rows are in use.
    pub(crate) fn open(&self, key: Key) -> Option<(usize, &Row)> {
        let wanted = key.word();
        let (index, row) = self.rows.iter().enumerate().find(
            |(_, row)| matches!(row.key.load(Relaxed), word if word == 0 || word == wanted),
        )?;
        row.key.store(wanted, Relaxed);
        Some((index, row))
    }

    /// The row at an index that [`Rows::open`] gave.
    pub(crate) fn get(&self, index: usize) -> Option<&Row> {
        self.rows.get(index)
    }

    /// The rows in use.
    pub(crate) fn used(&self) -> impl Iterator<Item = (Key, &Row)> {
        self.rows.iter().map_while(|row| Some((row.key()?, row)))
    }

    /// Counts one delivery of `vector` to L2: the first path in flight was relayed, every further
    /// message that waited for the same vector was merged into it.
    pub(crate) fn delivered(&self, vector: u8) {
        let mut relayed = false;
        for (_, row) in self.used().filter(|(key, _)| key.vector == vector) {
            let waiting = row.in_flight.take();
            if waiting != 0 && !relayed {
                relayed = true;
                row.relayed.bump();
                row.merged.add(waiting - 1);
            } else {
                row.merged.add(waiting);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Rows};

    const KEY: Key = Key { source: 0x31, reserved: 0x40, vector: 81 };

    #[test]
    fn a_row_is_found_again() {
        let rows = Rows::new();
        let first = rows.open(KEY).unwrap().0;
        let other = rows.open(Key { vector: 82, ..KEY }).unwrap().0;
        assert_ne!(first, other);
        assert_eq!(rows.open(KEY).unwrap().0, first);
        assert_eq!(rows.used().count(), 2);
    }

    #[test]
    fn deliveries_of_an_earlier_life_are_told_apart() {
        let rows = Rows::new();
        let (_, row) = rows.open(KEY).unwrap();
        row.relayed.add(5);
        assert_eq!(row.relayed_lately(), 5);
        row.restart();
        row.relayed.add(2);
        assert_eq!((row.relayed_lately(), row.relayed.get()), (2, 7));
        row.restart();
        assert_eq!(row.relayed_lately(), 0);
    }

    #[test]
    fn one_delivery_relays_one_and_merges_the_rest() {
        let rows = Rows::new();
        let (_, first) = rows.open(KEY).unwrap();
        let (_, second) = rows.open(Key { reserved: 0x41, ..KEY }).unwrap();
        first.in_flight.add(3);
        second.in_flight.add(1);
        rows.delivered(81);
        rows.delivered(81);
        assert_eq!((first.relayed.get(), first.merged.get()), (1, 2));
        assert_eq!((second.relayed.get(), second.merged.get()), (0, 1));
    }
}
