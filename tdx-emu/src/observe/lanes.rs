// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages on their way between the device and L1, for each reserved vector of a CPU.
//!
//! A message is counted before its PIR bit is set, and taken back if the bit (or later the VIRR bit)
//! was set already, so the figures are exact even when the posting CPU and the virtual CPU race.
//! A reserved vector has one source at a time; the last one that sent is the one named.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

use super::{
    counter::Counter,
    pass::Pass,
    relay_table::{FIRST_RESERVED, LANES, Slot},
    rows::{Key, Row, Rows},
};

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
    row: AtomicUsize,
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
            row: AtomicUsize::new(usize::MAX),
            spurious: Counter::new(),
            unmapped: Counter::new(),
        }
    }
}

impl Lane {
    /// The row that an interrupt counts in: that of its vector, or while held that of the last one.
    fn row_of<'a>(&self, index: usize, slot: Slot, rows: &'a Rows) -> Option<(usize, &'a Row)> {
        let source = self.source.load(Relaxed);
        match slot {
            Slot::Relayed(vector) => rows.open(Key { source, reserved: reserved(index), vector }),
            Slot::Held => {
                let row = self.row.load(Relaxed);
                Some((row, rows.get(row)?))
            }
            Slot::Unmapped => None,
        }
    }
}

/// The lanes of one CPU.
#[derive(Debug)]
pub(crate) struct Lanes([Lane; LANES]);

impl Lanes {
    /// Lanes on which nothing moved yet.
    pub(crate) const fn new() -> Self {
        Self([const { Lane::new() }; LANES])
    }

    /// A device message is about to be posted.
    pub(crate) fn message(&self, lane: usize, source: u8) {
        let lane = &self.0[lane];
        lane.source.store(source, Relaxed);
        lane.messages.bump();
        lane.pending.bump();
    }

    /// The message found an earlier one still pending.
    pub(crate) fn merge(&self, lane: usize) {
        let lane = &self.0[lane];
        if lane.pending.take_one() {
            lane.merged.bump();
        }
    }

    /// L1 takes the interrupt.
    pub(crate) fn taken(&self, index: usize, slot: Slot, rows: &Rows, pass: &Pass) {
        let lane = &self.0[index];
        if !lane.pending.take_one() {
            lane.spurious.bump();
            return;
        }
        let (messages, merged) = (lane.messages.take(), lane.merged.take());
        let Some((index, row)) = lane.row_of(index, slot, rows) else {
            let uncounted = if slot == Slot::Unmapped { &lane.unmapped } else { &rows.untold };
            return uncounted.add(messages);
        };
        lane.row.store(index, Relaxed);
        row.messages.add(messages);
        row.merged.add(merged);
        row.in_flight.bump();
        pass.took(index);
    }

    /// Interrupts that no device asked for, over all lanes.
    pub(crate) fn spurious(&self) -> u64 {
        self.0.iter().map(|lane| lane.spurious.get()).sum()
    }

    /// Messages without a mapping, over all lanes.
    pub(crate) fn unmapped(&self) -> u64 {
        self.0.iter().map(|lane| lane.unmapped.get()).sum()
    }

    /// What is still on its way on the lane that last served the row.
    pub(crate) fn untaken(&self, row: usize) -> Untaken {
        let mut lanes = self.0.iter().filter(|lane| lane.row.load(Relaxed) == row);
        lanes.next().map_or(Untaken::default(), |lane| Untaken {
            messages: lane.messages.get(),
            merged: lane.merged.get(),
            pending: lane.pending.get(),
        })
    }

    /// Opens a row for messages that L1 never took, so that the report shows them.
    pub(crate) fn reveal(&self, index: usize, slot: Slot, rows: &Rows) {
        let lane = &self.0[index];
        if lane.messages.get() == 0 {
            return;
        }
        match lane.row_of(index, slot, rows) {
            Some((row, _)) => lane.row.store(row, Relaxed),
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
    use super::Lanes;
    use crate::observe::{pass::Pass, relay_table::Slot, rows::Rows};

    #[test]
    fn a_message_merged_on_the_way_is_taken_once() {
        let (lanes, rows, pass) = (Lanes::new(), Rows::new(), Pass::new());
        lanes.message(0, 0x31);
        lanes.message(0, 0x31);
        lanes.merge(0);
        lanes.taken(0, Slot::Relayed(81), &rows, &pass);
        rows.delivered(81);
        let (key, row) = rows.used().next().unwrap();
        assert_eq!((key.source, key.reserved, key.vector), (0x31, 0x40, 81));
        assert_eq!((row.messages.get(), row.relayed.get(), row.merged.get()), (2, 1, 1));
    }

    #[test]
    fn an_interrupt_without_a_message_is_spurious() {
        let (lanes, rows, pass) = (Lanes::new(), Rows::new(), Pass::new());
        lanes.taken(5, Slot::Relayed(81), &rows, &pass);
        assert_eq!((lanes.spurious(), lanes.unmapped(), rows.used().count()), (1, 0, 0));
    }

    #[test]
    fn a_message_without_a_mapping_is_unmapped() {
        let (lanes, rows, pass) = (Lanes::new(), Rows::new(), Pass::new());
        lanes.message(5, 0x31);
        lanes.taken(5, Slot::Unmapped, &rows, &pass);
        assert_eq!((lanes.spurious(), lanes.unmapped(), rows.used().count()), (0, 1, 0));
    }

    #[test]
    fn a_message_posted_while_an_earlier_one_is_taken_is_not_lost() {
        let (lanes, rows, pass) = (Lanes::new(), Rows::new(), Pass::new());
        lanes.message(0, 0x31);
        lanes.message(0, 0x31); // counted, its bit not yet set
        lanes.taken(0, Slot::Relayed(81), &rows, &pass);
        rows.delivered(81);
        assert_eq!(lanes.untaken(0).pending, 1);
        lanes.taken(0, Slot::Relayed(81), &rows, &pass);
        rows.delivered(81);
        let (_, row) = rows.used().next().unwrap();
        assert_eq!((row.messages.get(), row.relayed.get(), row.merged.get()), (2, 2, 0));
    }
}
