// SPDX-License-Identifier: MIT OR Apache-2.0
//! One row of figures for each relay path: device message, reserved vector, vector of L2.
//!
//! Rows belong to the CPU on which L2 takes the interrupt. Mostly L1 takes it there too; if L1 takes it
//! on another CPU and passes it on, that CPU adds to the row as well.
//!
//! What is in flight when L2 takes a vector was merged into that interrupt. On one CPU that is certain,
//! for the pass that takes a message ends before L2 goes on. A message that was passed on may come too
//! late to be merged; the delivery of its own that it then gets takes the assumption back.
//!
//! # Orderings
//! A row's key is set once, by a compare-and-exchange, and carries no data with it: Relaxed.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::counter::Counter;

/// Most rows of one CPU: each mapping that L2 ever makes takes one.
pub(crate) const ROWS: usize = 1024;

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Where the message came from.
    pub(crate) source: u8,
    /// The CPU on which L1 took it.
    pub(crate) taker: u8,
    /// The vector in which L1 took it.
    pub(crate) reserved: u8,
    /// The vector in which L2 got it.
    pub(crate) vector: u8,
}

impl Key {
    /// In place of a CPU: the host took it.
    const HOST: u8 = u8::MAX;

    /// The path by which the host asks L1 to pass `vector` on; no vector of L1 is set aside for it.
    pub(crate) fn proxied(source: u8, vector: u8) -> Self {
        Self { source, taker: Self::HOST, reserved: 0, vector }
    }

    /// Whether it is such a path.
    pub(crate) fn is_proxied(self) -> bool {
        self.taker == Self::HOST
    }

    const USED: u64 = 1 << 63;

    fn word(self) -> u64 {
        Self::USED
            | u64::from(self.taker) << 24
            | u64::from(self.source) << 16
            | u64::from(self.reserved) << 8
            | u64::from(self.vector)
    }

    fn from_word(word: u64) -> Option<Self> {
        let [vector, reserved, source, taker, ..] = word.to_le_bytes();
        (word & Self::USED != 0).then_some(Self { source, taker, reserved, vector })
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
    /// Of these, those that were passed on and may have come too late.
    presumed: Counter,
    /// Taken by L1 and not yet delivered to L2.
    pub(crate) in_flight: Counter,
    /// Messages that the host still had when the run ended.
    pub(crate) waiting: Counter,
    /// TD exits for its own sake during the passes that relayed this path.
    pub(crate) host_exits: Counter,
    /// TDVMCALLs during those passes.
    pub(crate) tdvmcalls: Counter,
    /// Calls by which the CPU that took a message made the row's CPU look at it. The other two figures
    /// do not contain them.
    pub(crate) kicks: Counter,
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
            presumed: Counter::new(),
            in_flight: Counter::new(),
            waiting: Counter::new(),
            host_exits: Counter::new(),
            tdvmcalls: Counter::new(),
            kicks: Counter::new(),
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
        self.rows.iter().enumerate().find(|(_, row)| {
            // Another CPU may open a row here at the same time.
            let found = match row.key.load(Relaxed) {
                0 => row
                    .key
                    .compare_exchange(0, wanted, Relaxed, Relaxed)
                    .unwrap_or_else(|word| word),
                word => word,
            };
            found == 0 || found == wanted
        })
    }

    /// The row at an index that [`Rows::open`] gave.
    pub(crate) fn get(&self, index: usize) -> Option<&Row> {
        self.rows.get(index)
    }

    /// The rows in use.
    pub(crate) fn used(&self) -> impl Iterator<Item = (Key, &Row)> {
        self.rows.iter().map_while(|row| Some((row.key()?, row)))
    }

    /// Counts one delivery of `vector` to L2 on CPU `cpu`, whose rows these are: the first path in
    /// flight was relayed, every further message that waited for the same vector was merged into it.
    pub(crate) fn delivered(&self, cpu: usize, vector: u8) {
        let mut relayed = false;
        for (key, row) in self.used().filter(|(key, _)| key.vector == vector) {
            let waiting = row.in_flight.take();
            let mut merged = waiting;
            if waiting != 0 && !relayed {
                relayed = true;
                row.relayed.bump();
                merged -= 1;
            }
            row.merged.add(merged);
            if usize::from(key.taker) != cpu {
                row.presumed.add(merged);
            }
        }
        if !relayed {
            self.take_presumption_back(vector);
        }
    }

    fn take_presumption_back(&self, vector: u8) {
        let mut rows = self.used().filter(|(key, _)| key.vector == vector);
        if let Some((_, row)) = rows.find(|(_, row)| row.presumed.take_one()) {
            row.merged.take_one();
            row.relayed.bump();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Rows};

    const KEY: Key = Key { source: 0x31, taker: 0, reserved: 0x40, vector: 81 };

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
        rows.delivered(0, 81);
        rows.delivered(0, 81);
        assert_eq!((first.relayed.get(), first.merged.get()), (1, 2));
        assert_eq!((second.relayed.get(), second.merged.get()), (0, 1));
    }

    #[test]
    fn the_same_vectors_by_way_of_another_cpu_are_another_path() {
        let rows = Rows::new();
        let first = rows.open(KEY).unwrap().0;
        let remote = Key { taker: 3, ..KEY };
        let second = rows.open(remote).unwrap().0;
        assert_ne!(first, second);
        assert_eq!(rows.used().nth(second).unwrap().0, remote);
    }

    #[test]
    fn what_was_passed_on_too_late_to_be_merged_is_delivered_by_itself() {
        let rows = Rows::new();
        let (_, row) = rows.open(KEY).unwrap();
        row.in_flight.add(2);
        rows.delivered(1, 81);
        assert_eq!((row.relayed.get(), row.merged.get()), (1, 1));
        rows.delivered(1, 81);
        assert_eq!((row.relayed.get(), row.merged.get()), (2, 0));
        rows.delivered(1, 81);
        assert_eq!((row.relayed.get(), row.merged.get()), (2, 0), "none was left");
    }

    #[test]
    fn what_the_host_takes_is_a_path_of_its_own() {
        let rows = Rows::new();
        let posted = rows.open(KEY).unwrap().0;
        let (proxied, row) = rows.open(Key::proxied(KEY.source, KEY.vector)).unwrap();
        assert_ne!(posted, proxied);
        let keys: Vec<_> = rows.used().map(|(key, _)| key.is_proxied()).collect();
        assert_eq!(keys, [false, true]);
        row.in_flight.add(2);
        rows.delivered(0, KEY.vector);
        // The second message came too late for the first delivery.
        rows.delivered(0, KEY.vector);
        assert_eq!((row.relayed.get(), row.merged.get()), (2, 0));
    }

    #[test]
    fn two_cpus_that_open_a_row_get_the_same_one() {
        let rows = Rows::new();
        let key = |number: u8| Key { vector: number, ..KEY };
        let open_all = || (0..=u8::MAX).map(|number| rows.open(key(number)).unwrap().0);
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| open_all().collect::<Vec<_>>());
            (open_all().collect::<Vec<_>>(), other.join().unwrap())
        });
        assert_eq!(one, other);
        assert_eq!(rows.used().count(), 256);
    }
}
