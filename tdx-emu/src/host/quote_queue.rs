// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests that are not answered yet, and which of them is next.

use super::quote_manner::Manner;

/// Most requests at a time.
const PLACES: usize = 32;

/// How long the service takes.
const SERVICE_NS: u64 = 5_000_000;
/// The same when it waits for more requests.
const PATIENCE_NS: u64 = 20_000_000;
/// Requests after which it waits for no more.
const ENOUGH: usize = 4;
/// Longer than anybody waits who was told to wait for a short while.
const LATE_NS: u64 = 1_500_000_000;

/// What a virtual CPU asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The buffer, without the shared bit.
    pub(crate) gpa: u64,
    /// Its size.
    pub(crate) size: u64,
    /// The virtual CPU.
    pub(crate) cpu: usize,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    request: Request,
    due_ns: u64,
}

/// Requests in the order in which they came.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: [Option<Waiting>; PLACES],
}

impl Queue {
    /// Nothing waits.
    pub(crate) const fn new() -> Self {
        Self { waiting: [None; PLACES] }
    }

    /// Adds a request that came at `now_ns`; false if there is no room.
    pub(crate) fn add(&mut self, request: Request, manner: Manner, now_ns: u64) -> bool {
        let due_ns = match manner {
            Manner::Never => u64::MAX,
            Manner::Late => now_ns.saturating_add(LATE_NS),
            Manner::Reverse => now_ns.saturating_add(PATIENCE_NS),
            _ => now_ns.saturating_add(SERVICE_NS),
        };
        let Some(place) = self.waiting.iter_mut().find(|place| place.is_none()) else {
            return false;
        };
        *place = Some(Waiting { request, due_ns });
        if manner == Manner::Reverse && self.waiting.iter().flatten().count() >= ENOUGH {
            self.waiting.iter_mut().flatten().for_each(|waiting| waiting.due_ns = now_ns);
        }
        true
    }

    /// Takes a request that is due: the oldest, or the youngest if they are answered in reverse.
    pub(crate) fn take_due(&mut self, manner: Manner, now_ns: u64) -> Option<Request> {
        let is_due =
            |place: &Option<Waiting>| place.is_some_and(|waiting| waiting.due_ns <= now_ns);
        let mut due = (0..PLACES).filter(|index| self.waiting.get(*index).is_some_and(is_due));
        let index = if manner == Manner::Reverse { due.next_back() } else { due.next() }?;
        let taken = self.waiting.get_mut(index)?.take()?;
        // Those behind it move up, so that the order stays that in which they came.
        self.waiting.get_mut(index..)?.rotate_left(1);
        Some(taken.request)
    }

    /// When the next one is due, if ever.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let due = self.waiting.iter().flatten().map(|waiting| waiting.due_ns);
        due.min().filter(|due| *due != u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{LATE_NS, Manner, PATIENCE_NS, PLACES, Queue, Request, SERVICE_NS};

    fn asked(manner: Manner, times: &[u64]) -> Queue {
        let mut queue = Queue::new();
        for (cpu, now) in times.iter().enumerate() {
            assert!(queue.add(Request { gpa: 0, size: 0, cpu }, manner, *now));
        }
        queue
    }

    fn order(queue: &mut Queue, manner: Manner, now: u64) -> Vec<usize> {
        core::iter::from_fn(|| queue.take_due(manner, now)).map(|request| request.cpu).collect()
    }

    #[test]
    fn requests_are_answered_in_order_when_their_time_has_come() {
        let mut queue = asked(Manner::Honest, &[0, 5, 10]);
        assert_eq!(queue.next_due(), Some(SERVICE_NS));
        assert!(order(&mut queue, Manner::Honest, SERVICE_NS - 1).is_empty());
        assert_eq!(order(&mut queue, Manner::Honest, SERVICE_NS + 5), [0, 1]);
        assert_eq!(queue.next_due(), Some(SERVICE_NS + 10));
        assert_eq!(order(&mut queue, Manner::Honest, SERVICE_NS + 10), [2]);
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn the_last_one_comes_first_when_asked_to() {
        let mut queue = asked(Manner::Reverse, &[0, 1, 2]);
        assert!(order(&mut queue, Manner::Reverse, 3).is_empty());
        assert_eq!(order(&mut queue, Manner::Reverse, PATIENCE_NS + 2), [2, 1, 0]);
        let mut queue = asked(Manner::Reverse, &[0, 1, 2, 3]);
        assert_eq!(order(&mut queue, Manner::Reverse, 3), [3, 2, 1, 0]);
    }

    #[test]
    fn a_late_or_absent_answer_is_not_due_in_time() {
        assert_eq!(asked(Manner::Late, &[7]).next_due(), Some(LATE_NS + 7));
        assert_eq!(asked(Manner::Never, &[7]).next_due(), None);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut queue = asked(Manner::Honest, &[0; PLACES]);
        assert!(!queue.add(Request { gpa: 0, size: 0, cpu: 0 }, Manner::Honest, 0));
    }
}
