// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages on their way between the device and L1, for each reserved vector of a CPU.
//!
//! A message is counted before its PIR bit is set, and taken back if the bit (or later the VIRR bit)
//! was set already, so the figures are exact even when the posting CPU and the virtual CPU race.
//! A reserved vector has one source at a time; the last one that sent is the one named.
//!
//! # Orderings
//! Relaxed everywhere: figures, and a lane's row is set and read on one CPU until the TD has stopped.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use super::{
    counter::Counter,
    pass::Pass,
    relay_table::{FIRST_RESERVED, LANES, Slot},
    rows::{Key, Row, Rows},
};

/// The rows of each CPU.
pub(crate) type RowsOf<'a> = dyn Fn(usize) -> &'a Rows + 'a;

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The CPU whose row it is.
    pub(crate) cpu: usize,
    /// Which of its rows.
    pub(crate) row: usize,
}

impl Place {
    /// No row.
    const NONE: u32 = u32::MAX;

    fn word(self) -> u32 {
        u32::try_from(self.cpu << 16 | self.row).unwrap_or(Self::NONE)
    }

    fn from_word(word: u32) -> Option<Self> {
        let [row_low, row_high, cpu, _] = word.to_le_bytes();
        let row = usize::from(u16::from_le_bytes([row_low, row_high]));
        (word != Self::NONE).then_some(Self { cpu: cpu.into(), row })
    }
}

/// One reserved vector.
#[derive(Debug)]
struct Lane {
    /// Messages that no row has counted yet.
    messages: Counter,
    /// Those of them that were merged in PIR or VIRR.
    merged: Counter,
    /// Interrupts that L1 has still to take.
    pending: Counter,
    source: AtomicU8,
    /// The [`Place`] of the row that the last interrupt counted in.
    row: AtomicU32,
    /// Interrupts that no device asked for.
    spurious: Counter,
    /// Messages that L1 had no mapping for.
    unmapped: Counter,
}

impl Lane {
    const fn new() -> Self {
        Self {
            messages: Counter::new(),
            merged: Counter::new(),
            pending: Counter::new(),
            source: AtomicU8::new(0),
            row: AtomicU32::new(Place::NONE),
            spurious: Counter::new(),
            unmapped: Counter::new(),
        }
    }
}

impl Lane {
    /// The row that the last interrupt counted in.
    fn last(&self) -> Option<Place> {
        Place::from_word(self.row.load(Relaxed))
    }

    /// The row that an interrupt taken on lane `index` of CPU `taker` counts in: that of its vector on
    /// the CPU where it ends, or while held that of the last one.
    fn row_of<'a>(
        &self,
        (taker, index): (usize, usize),
        slot: Slot,
        rows: &RowsOf<'a>,
    ) -> Option<(Place, &'a Row)> {
        let (cpu, vector) = match slot {
            Slot::Relayed(vector) => (taker, vector),
            Slot::Forwarded { cpu, vector } => (usize::from(cpu), vector),
            Slot::Held => {
                let place = self.last()?;
                return Some((place, rows(place.cpu).get(place.row)?));
            }
            Slot::Unmapped => return None,
        };
        let source = self.source.load(Relaxed);
        let taker = u8::try_from(taker).unwrap_or(u8::MAX);
        let key = Key { source, taker, reserved: reserved(index), vector };
        rows(cpu).open(key).map(|(row, found)| (Place { cpu, row }, found))
    }
}

/// The lanes of one CPU.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: [Lane; LANES],
    /// Lanes that took interrupts to be passed on to another CPU, a bit each.
    passing: AtomicU32,
}

impl Lanes {
    /// Lanes on which nothing moved yet.
    pub(crate) const fn new() -> Self {
        Self { lanes: [const { Lane::new() }; LANES], passing: AtomicU32::new(0) }
    }

    /// A device message is about to be posted.
    pub(crate) fn message(&self, lane: usize, source: u8) {
        let lane = &self.lanes[lane];
        lane.source.store(source, Relaxed);
        lane.messages.bump();
        lane.pending.bump();
    }

    /// The message found an earlier one still pending.
    pub(crate) fn merge(&self, lane: usize) {
        let lane = &self.lanes[lane];
        if lane.pending.take_one() {
            lane.merged.bump();
        }
    }

    /// L1 takes the interrupt of lane `index` on CPU `taker`, whose lanes these are.
    pub(crate) fn taken(
        &self,
        (taker, index): (usize, usize),
        slot: Slot,
        rows: &RowsOf<'_>,
        pass: &Pass,
    ) {
        let lane = &self.lanes[index];
        if !lane.pending.take_one() {
            lane.spurious.bump();
            return;
        }
        let (messages, merged) = (lane.messages.take(), lane.merged.take());
        let Some((place, row)) = lane.row_of((taker, index), slot, rows) else {
            let uncounted =
                if slot == Slot::Unmapped { &lane.unmapped } else { &rows(taker).untold };
            return uncounted.add(messages);
        };
        lane.row.store(place.word(), Relaxed);
        row.messages.add(messages);
        row.merged.add(merged);
        row.in_flight.bump();
        pass.took(index);
        if place.cpu != taker {
            self.passing.fetch_or(1 << index, Relaxed);
        }
    }

    /// The rows that the last interrupts on the lanes of `bits` counted in.
    pub(crate) fn rows_of<'a>(
        &self,
        bits: u32,
        rows: &'a RowsOf<'a>,
    ) -> impl Iterator<Item = &'a Row> {
        let places = self.lanes.iter().enumerate().filter(move |(index, _)| bits & 1 << index != 0);
        places.filter_map(|(_, lane)| {
            let place = lane.last()?;
            rows(place.cpu).get(place.row)
        })
    }

    /// The row for which L1 makes CPU `target` look now: that of an interrupt just taken for it.
    pub(crate) fn kicking<'a>(&self, target: usize, rows: &RowsOf<'a>) -> Option<&'a Row> {
        let passing = self.passing.load(Relaxed);
        let mut lanes = self.lanes.iter().enumerate();
        let (index, place) = lanes.find_map(|(index, lane)| {
            let place = lane.last().filter(|place| place.cpu == target)?;
            (passing & 1 << index != 0).then_some((index, place))
        })?;
        self.passing.fetch_and(!(1 << index), Relaxed);
        rows(place.cpu).get(place.row)
    }

    /// L1 has passed on what it took: it goes back to L2, or halts.
    pub(crate) fn passed_on(&self) {
        self.passing.store(0, Relaxed);
    }

    /// Interrupts that no device asked for, over all lanes.
    pub(crate) fn spurious(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.spurious.get()).sum()
    }

    /// Messages without a mapping, over all lanes.
    pub(crate) fn unmapped(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.unmapped.get()).sum()
    }

    /// What is still on its way on the lane that last served the row at `place`.
    pub(crate) fn untaken(&self, place: Place) -> Untaken {
        let mut lanes = self.lanes.iter().filter(|lane| lane.last() == Some(place));
        lanes.next().map_or(Untaken::default(), |lane| Untaken {
            messages: lane.messages.get(),
            merged: lane.merged.get(),
            pending: lane.pending.get(),
        })
    }

    /// Opens a row for messages that L1 never took, so that the report shows them.
    pub(crate) fn reveal(&self, (taker, index): (usize, usize), slot: Slot, rows: &RowsOf<'_>) {
        let lane = &self.lanes[index];
        if lane.messages.get() == 0 {
            return;
        }
        match lane.row_of((taker, index), slot, rows) {
            Some((place, _)) => lane.row.store(place.word(), Relaxed),
            None => lane.unmapped.add(lane.messages.get()),
        }
    }
}

/// What a row does not yet contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untaken {
    /// Messages sent.
    pub(crate) messages: u64,
    /// Messages merged in PIR or VIRR.
    pub(crate) merged: u64,
    /// Interrupts that L1 has still to take.
    pub(crate) pending: u64,
}

/// The reserved vector of a lane.
fn reserved(lane: usize) -> u8 {
    FIRST_RESERVED.saturating_add(u8::try_from(lane).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Lanes, Place};
    use crate::observe::{pass::Pass, relay_table::Slot, rows::Rows};

    #[test]
    fn a_message_merged_on_the_way_is_taken_once() {
        let (lanes, rows, pass) = (Lanes::new(), Rows::new(), Pass::new());
        lanes.message(0, 0x31);
        lanes.message(0, 0x31);
        lanes.merge(0);
        lanes.taken((0, 0), Slot::Relayed(81), &|_| &rows, &pass);
        rows.delivered(0, 81);
        let (key, row) = rows.used().next().unwrap();
        assert_eq!((key.source, key.reserved, key.vector), (0x31, 0x40, 81));
        assert_eq!((row.messages.get(), row.relayed.get(), row.merged.get()), (2, 1, 1));
    }

    #[test]
    fn an_interrupt_without_a_message_is_spurious() {
        let (lanes, rows, pass) = (Lanes::new(), Rows::new(), Pass::new());
        lanes.taken((0, 5), Slot::Relayed(81), &|_| &rows, &pass);
        assert_eq!((lanes.spurious(), lanes.unmapped(), rows.used().count()), (1, 0, 0));
    }

    #[test]
    fn a_message_without_a_mapping_is_unmapped() {
        let (lanes, rows, pass) = (Lanes::new(), Rows::new(), Pass::new());
        lanes.message(5, 0x31);
        lanes.taken((0, 5), Slot::Unmapped, &|_| &rows, &pass);
        assert_eq!((lanes.spurious(), lanes.unmapped(), rows.used().count()), (0, 1, 0));
    }

    #[test]
    fn a_message_posted_while_an_earlier_one_is_taken_is_not_lost() {
        let (lanes, rows, pass) = (Lanes::new(), Rows::new(), Pass::new());
        lanes.message(0, 0x31);
        lanes.message(0, 0x31); // counted, its bit not yet set
        lanes.taken((0, 0), Slot::Relayed(81), &|_| &rows, &pass);
        rows.delivered(0, 81);
        assert_eq!(lanes.untaken(Place { cpu: 0, row: 0 }).pending, 1);
        lanes.taken((0, 0), Slot::Relayed(81), &|_| &rows, &pass);
        rows.delivered(0, 81);
        let (_, row) = rows.used().next().unwrap();
        assert_eq!((row.messages.get(), row.relayed.get(), row.merged.get()), (2, 2, 0));
    }

    #[test]
    fn what_is_passed_on_counts_where_it_ends() {
        let (lanes, pass) = (Lanes::new(), Pass::new());
        let rows = [Rows::new(), Rows::new()];
        let rows_of = |cpu: usize| &rows[cpu];
        lanes.message(7, 0x31);
        lanes.taken((0, 7), Slot::Forwarded { cpu: 1, vector: 97 }, &rows_of, &pass);
        assert!(lanes.kicking(0, &rows_of).is_none(), "not for CPU 0");
        lanes.kicking(1, &rows_of).unwrap().kicks.bump();
        assert!(lanes.kicking(1, &rows_of).is_none(), "one kick is enough");
        rows[1].delivered(1, 97);
        assert_eq!(rows[0].used().count(), 0);
        let (key, row) = rows[1].used().next().unwrap();
        assert_eq!((key.taker, key.reserved, key.vector), (0, 0x47, 97));
        assert_eq!((row.messages.get(), row.relayed.get(), row.kicks.get()), (1, 1, 1));
        assert_eq!(lanes.rows_of(1 << 7, &rows_of).count(), 1);
    }

    #[test]
    fn what_is_on_its_way_counts_where_it_would_end() {
        let lanes = Lanes::new();
        let rows = [Rows::new(), Rows::new()];
        lanes.message(7, 0x31);
        lanes.reveal((0, 7), Slot::Forwarded { cpu: 1, vector: 97 }, &|cpu| &rows[cpu]);
        let (_, row) = rows[1].used().next().unwrap();
        assert_eq!(row.messages.get(), 0);
        assert_eq!(lanes.untaken(Place { cpu: 1, row: 0 }).pending, 1);
    }
}
