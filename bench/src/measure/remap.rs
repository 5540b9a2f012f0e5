// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a change of a mapping costs among many: ours, and a list as another relay has it.
//!
//! The list is searched for the same mapping before one is added, and for the mapping before it is
//! taken away; both under one lock. Its entries lie one behind the other, a line each, which is the
//! best that can happen to a list.

use std::thread;

use spin::Mutex;

use super::effort::Effort;
use crate::{
    machine::{cpus, pin},
    ours,
    results::Remap,
    statistics::low,
    ticks::{self, Clock},
};

/// Room for the books of 1,024 CPUs.
const STACK: usize = 256 << 20;

/// How many mappings there are, and on how many CPUs.
const SIZES: [(usize, Measure); 3] =
    [(32, ours::remap::<1>), (1024, ours::remap::<32>), (32_768, ours::remap::<1024>)];

type Measure = fn(fn() -> u64, usize) -> Vec<[u64; 2]>;

/// A mapping of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    vector: u8,
    cpu: u32,
}

/// Measures all sizes.
#[must_use]
pub fn all(effort: &Effort, clock: &Clock) -> Vec<Remap> {
    let times = effort.batches * 8;
    let one = |(mappings, ours): (usize, Measure)| {
        let figures = apart(move || (ours(ticks::ordered, times), list(mappings, times)));
        let (ours, list) = figures.unwrap_or_default();
        let ns = |rounds: &[[u64; 2]], part: usize| {
            let values: Vec<f64> = rounds.iter().map(|round| round[part] as f64).collect();
            low(&values).map(|ticks| clock.ns(ticks))
        };
        Remap {
            mappings,
            list_map_ns: ns(&list, 0),
            list_unmap_ns: middle(&list).map(|ticks| clock.ns(ticks)),
            ours_map_ns: ns(&ours, 0),
            ours_unmap_ns: ns(&ours, 1),
        }
    };
    SIZES.map(one).to_vec()
}

/// The cost of an unmap depends on the place, so it is the median over all of them that counts.
fn middle(rounds: &[[u64; 2]]) -> Option<f64> {
    let all: Vec<f64> = rounds.iter().map(|round| round[1] as f64).collect();
    crate::statistics::quantile(&all, 0.5)
}

fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let pinned = || {
        pin(cpus().first().copied().unwrap_or(0));
        work()
    };
    thread::Builder::new().stack_size(STACK).spawn(pinned).ok()?.join().ok()
}

/// A list whose links are indices.
#[derive(Debug)]
struct List {
    nodes: Vec<Node>,
    first: Option<usize>,
    free: Option<usize>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Node {
    entry: Entry,
    next: Option<usize>,
}

impl List {
    fn new(entries: impl Iterator<Item = Entry>) -> Self {
        let node = |(index, entry): (usize, Entry)| Node { entry, next: Some(index + 1) };
        let mut nodes: Vec<Node> = entries.enumerate().map(node).collect();
        if let Some(last) = nodes.last_mut() {
            last.next = None;
        }
        let first = (!nodes.is_empty()).then_some(0);
        Self { nodes, first, free: None }
    }

    /// Returns where `entry` is, and what is before it.
    fn find(&self, entry: Entry) -> Option<(Option<usize>, usize)> {
        let (mut before, mut place) = (None, self.first);
        while let Some(index) = place {
            if self.nodes[index].entry == entry {
                return Some((before, index));
            }
            (before, place) = (Some(index), self.nodes[index].next);
        }
        None
    }

    fn map(&mut self, entry: Entry) {
        if self.find(entry).is_some() {
            return;
        }
        let node = Node { entry, next: self.first };
        self.first = Some(match self.free {
            Some(index) => {
                self.free = self.nodes[index].next;
                self.nodes[index] = node;
                index
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        });
    }

    fn unmap(&mut self, entry: Entry) -> bool {
        let Some((before, index)) = self.find(entry) else { return false };
        let next = self.nodes[index].next;
        match before {
            Some(before) => self.nodes[before].next = next,
            None => self.first = next,
        }
        self.nodes[index].next = self.free;
        self.free = Some(index);
        true
    }
}

fn list(mappings: usize, times: usize) -> Vec<[u64; 2]> {
    let entry = |index: usize| Entry {
        vector: crate::variant::vector_of(index),
        cpu: u32::try_from(index / 32).unwrap_or(u32::MAX),
    };
    let list = Mutex::new(List::new((0..mappings - 1).map(entry)));
    let times = times.min(8_000_000 / mappings.max(1)).max(3);
    let one = |turn: usize| {
        let new = Entry { vector: 0xff, cpu: u32::MAX };
        let start = ticks::ordered();
        list.lock().map(new);
        let mapped = ticks::ordered();
        // The one to go may be anywhere in the list.
        let gone = entry((turn * 7919) % (mappings - 1));
        let between = ticks::ordered();
        let found = list.lock().unmap(gone);
        let unmapped = ticks::ordered();
        if found {
            list.lock().map(gone);
        }
        list.lock().unmap(new);
        [mapped.saturating_sub(start), unmapped.saturating_sub(between)]
    };
    (0..times).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_maps_once_and_unmaps_what_it_has() {
        let [one, two, three] = [1, 2, 3].map(|vector| Entry { vector, cpu: 0 });
        let mut list = List::new([one].into_iter());
        list.map(one);
        list.map(two);
        assert_eq!(list.nodes.len(), 2);
        assert!(list.unmap(one) && !list.unmap(one));
        list.map(three);
        assert_eq!(list.nodes.len(), 2);
        assert!(list.unmap(two) && list.unmap(three) && list.first.is_none());
    }

    #[test]
    fn every_size_is_measured() {
        let clock = Clock { ns_per_tick: 1.0, cycles_per_tick: 1.0, step: 1 };
        let sizes = all(&Effort::SMOKE, &clock);
        assert_eq!(sizes.len(), 3);
        for size in sizes {
            assert!(size.ours_map_ns.is_some() && size.list_unmap_ns.is_some(), "{size:?}");
        }
    }
}
