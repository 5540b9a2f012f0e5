// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last events of a CPU, in a ring of fixed size.
//!
//! The oldest event is overwritten; how many were is told with the dump. Nothing here waits, so an
//! event can be noted from any interrupt handler.
//!
//! # Orderings
//! Relaxed: the ring is dumped after the TD stopped.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Events kept for each CPU. Tests make rings on their stacks.
const EVENTS: usize = if cfg!(test) { 64 } else { 32_768 };

/// Kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A device message arrived; arg = its source.
    Device,
    /// A PIR bit was set; arg = 1 if it was set already.
    Post,
    /// A notification arrived.
    Notification,
    /// L1 took a vector; arg = the vector of L2 that it stands for; and from bit 8 on, if it is passed on
    /// to another CPU, that CPU plus 1.
    L1Vector,
    /// An L2 was entered; vector = RVI, arg = VM, or refused with arg = 0.
    VpEnter,
    /// L2 took a vector; arg = VM.
    L2Vector,
    /// L2 exited to L1; arg = status.
    L2Exit,
    /// The TD exited to the host; arg = reason.
    TdExit,
    /// The TD asked for something; arg = leaf.
    Tdvmcall,
    /// L1 ended an interrupt.
    Eoi,
    /// L1 called the module for something that no other event tells; arg = leaf.
    Tdcall,
}

impl Event {
    const ALL: [Self; 11] = [
        Self::Device,
        Self::Post,
        Self::Notification,
        Self::L1Vector,
        Self::VpEnter,
        Self::L2Vector,
        Self::L2Exit,
        Self::TdExit,
        Self::Tdvmcall,
        Self::Eoi,
        Self::Tdcall,
    ];

    /// The name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Post => "post",
            Self::Notification => "notification",
            Self::L1Vector => "l1_vector",
            Self::VpEnter => "vp_enter",
            Self::L2Vector => "l2_vector",
            Self::L2Exit => "l2_exit",
            Self::TdExit => "td_exit",
            Self::Tdvmcall => "tdvmcall",
            Self::Eoi => "eoi",
            Self::Tdcall => "tdcall",
        }
    }
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Time-stamp counter.
    pub(crate) ts: u64,
    /// Instructions that L1 had executed on this CPU.
    pub(crate) l1: u64,
    /// What happened.
    pub(crate) event: Event,
    /// The vector concerned, or 0.
    pub(crate) vector: u8,
    /// See [`Event`].
    pub(crate) arg: u64,
}

#[derive(Debug)]
struct Slot {
    ts: AtomicU64,
    l1: AtomicU64,
    what: AtomicU64,
    arg: AtomicU64,
}

/// The events of one CPU.
#[derive(Debug)]
pub(crate) struct Ring {
    noted: AtomicU64,
    slots: [Slot; EVENTS],
}

impl Ring {
    /// An empty ring.
    pub(crate) const fn new() -> Self {
        Self {
            noted: AtomicU64::new(0),
            slots: [const {
                Slot {
                    ts: AtomicU64::new(0),
                    l1: AtomicU64::new(0),
                    what: AtomicU64::new(0),
                    arg: AtomicU64::new(0),
                }
            }; EVENTS],
        }
    }

    /// Notes an event.
    pub(crate) fn note(&self, entry: Entry) {
        let slot = self.slot(self.noted.fetch_add(1, Relaxed));
        slot.ts.store(entry.ts, Relaxed);
        slot.l1.store(entry.l1, Relaxed);
        slot.what.store((entry.event as u64) << 8 | u64::from(entry.vector), Relaxed);
        slot.arg.store(entry.arg, Relaxed);
    }

    /// Number of events that were overwritten.
    pub(crate) fn dropped(&self) -> u64 {
        self.noted.load(Relaxed).saturating_sub(EVENTS as u64)
    }

    /// The events kept, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        (self.dropped()..self.noted.load(Relaxed)).filter_map(|index| {
            let slot = self.slot(index);
            let [vector, event, ..] = slot.what.load(Relaxed).to_le_bytes();
            Some(Entry {
                ts: slot.ts.load(Relaxed),
                l1: slot.l1.load(Relaxed),
                event: *Event::ALL.get(usize::from(event))?,
                vector,
                arg: slot.arg.load(Relaxed),
            })
        })
    }

    fn slot(&self, index: u64) -> &Slot {
        &self.slots[usize::try_from(index).unwrap_or(0) % EVENTS]
    }
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, Entry, Event, Ring};

    #[test]
    fn every_event_has_its_own_number_and_name() {
        for (number, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, number);
            assert_eq!(Event::ALL.iter().filter(|other| other.name() == event.name()).count(), 1);
        }
    }

    #[test]
    fn the_oldest_events_are_overwritten_and_counted() {
        let ring = Box::new(Ring::new());
        for ts in 0..EVENTS as u64 + 3 {
            ring.note(Entry { ts, l1: 2 * ts, event: Event::Eoi, vector: 0x40, arg: ts });
        }
        assert_eq!(ring.dropped(), 3);
        let first = ring.entries().next().unwrap();
        assert_eq!((first.ts, first.l1), (3, 6));
        assert_eq!(ring.entries().count(), EVENTS);
    }
}
