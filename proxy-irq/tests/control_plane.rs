// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control plane against a naive model of it: lists that are searched, a queue of free slots.
//!
//! After every step both must agree on what was returned, on every slot word of a CPU that has served,
//! and on the list of all mappings.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::VecDeque;

use proptest::prelude::*;
use proxy_irq::{
    L2Vector, MapError, Mapping, Masking, Mode, Relay, RelayBlock, ReservedBlock, Slot, Source,
    Target, Ticket,
};

const BASE: u8 = 0x40;

#[derive(Clone, Debug)]
enum Step {
    Map { vector: u8, entry: u32 },
    Retarget { index: usize, vector: u8 },
    Unmap { index: usize },
    Mask { index: usize },
    Unmask { index: usize },
    Quarantine { index: usize },
    Serve { irr: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let (vector, entry) = (0x50u8..0x56, 0u32..12);
    let index = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    prop_oneof![
        12 => (vector.clone(), entry).prop_map(|(vector, entry)| Step::Map { vector, entry }),
        3 => (index.clone(), vector)
            .prop_map(|(index, vector)| Step::Retarget { index, vector }),
        6 => index.clone().prop_map(|index| Step::Unmap { index }),
        1 => index.clone().prop_map(|index| Step::Mask { index }),
        1 => index.clone().prop_map(|index| Step::Unmask { index }),
        2 => index.prop_map(|index| Step::Quarantine { index }),
        2 => prop_oneof![2 => Just(0), 1 => any::<u32>()].prop_map(|irr| Step::Serve { irr }),
    ]
}

/// A line of the naive book: a mapping that lives, leaves, or is in quarantine.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    slot: u8,
    vector: u8,
    entry: u32,
    references: u32,
    generation: u32,
    masking: Masking,
    mode: Mode,
    /// Whether the owner has left it, and whether its reserved vector was clear then.
    left: Option<bool>,
}

/// The naive book of one CPU.
#[derive(Debug)]
struct Naive {
    free: VecDeque<u8>,
    lines: Vec<Line>,
    generations: [u32; 32],
}

impl Naive {
    fn new() -> Self {
        Self { free: (0..32).collect(), lines: Vec::new(), generations: [0; 32] }
    }

    /// What every `map` begins with: slots that were left and are clear become free, lowest first;
    /// those that were left and pended wait for the next answer.
    fn reclaim(&mut self) {
        self.lines.sort_by_key(|line| line.slot);
        let free = &mut self.free;
        self.lines.retain(|line| {
            let gone = line.left == Some(true);
            if gone {
                free.push_back(line.slot);
            }
            !gone
        });
        for line in &mut self.lines {
            line.left = None;
        }
    }

    fn map(&mut self, vector: u8, entry: u32) -> Result<(u8, u32), MapError> {
        self.reclaim();
        let same = |line: &&mut Line| {
            line.mode == Mode::Posted && (line.vector, line.entry) == (vector, entry)
        };
        if let Some(line) = self.lines.iter_mut().find(same) {
            line.references += 1;
            return Ok((line.slot, line.generation));
        }
        if self.lines.iter().any(|line| line.mode == Mode::Quarantined && line.vector == vector) {
            return Err(MapError::Quarantined);
        }
        let slot = self.free.pop_front().ok_or(MapError::BlockFull)?;
        self.generations[usize::from(slot)] += 1;
        let generation = self.generations[usize::from(slot)];
        let (masking, mode) = (Masking::Unmasked, Mode::Posted);
        let line =
            Line { slot, vector, entry, references: 1, generation, masking, mode, left: None };
        self.lines.push(line);
        Ok((slot, generation))
    }

    fn line(&mut self, slot: u8) -> &mut Line {
        self.lines.iter_mut().find(|line| line.slot == slot).unwrap()
    }

    fn serve(&mut self, irr: u32) {
        for line in self.lines.iter_mut().filter(|line| line.mode != Mode::Posted) {
            line.left = Some(irr & 1 << line.slot == 0);
        }
    }
}

struct Pair<'a> {
    block: &'a RelayBlock,
    relay: Box<Relay<'a, 1>>,
    naive: Naive,
    mappings: Vec<Mapping>,
    tickets: Vec<(u8, Ticket<'a>)>,
}

impl Pair<'_> {
    fn note(&mut self, outcome: Result<Mapping, MapError>, expected: Result<(u8, u32), MapError>) {
        let got = outcome
            .as_ref()
            .map(|mapping| (mapping.reserved_vector().get() - BASE, mapping.generation()));
        assert_eq!(got.map_err(|error| *error), expected);
        self.mappings.extend(outcome);
    }

    fn pick(&self, index: usize) -> Option<usize> {
        index.checked_rem(self.mappings.len())
    }

    fn unmap(&mut self, index: usize) {
        let Some(index) = self.pick(index) else { return };
        let mapping = self.mappings.swap_remove(index);
        let slot = mapping.reserved_vector().get() - BASE;
        let line = self.naive.line(slot);
        line.references -= 1;
        if line.references == 0 {
            (line.mode, line.left) = (Mode::Unmapping, None);
        }
        let last = line.references == 0;
        let ticket = self.relay.unmap(mapping).unwrap();
        assert_eq!(ticket.poll().is_pending(), last, "only the last reference waits");
        if last {
            self.tickets.push((slot, ticket));
        }
    }

    fn set_masking(&mut self, index: usize, masking: Masking) {
        let Some(mapping) = self.pick(index).map(|index| &self.mappings[index]) else { return };
        self.naive.line(mapping.reserved_vector().get() - BASE).masking = masking;
        let _ticket = match masking {
            Masking::Masked => self.relay.mask(mapping),
            Masking::Unmasked => self.relay.unmask(mapping),
        }
        .unwrap();
    }

    fn quarantine(&mut self, index: usize) {
        let Some(index) = index.checked_rem(self.tickets.len()) else { return };
        let (slot, ticket) = self.tickets.swap_remove(index);
        if ticket.poll().is_pending() {
            self.naive.line(slot).mode = Mode::Quarantined;
        }
        self.relay.quarantine(ticket);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Map { vector, entry } => {
                let expected = self.naive.map(vector, entry);
                let source = Source { device: 1, entry };
                let outcome = self.relay.map(0, L2Vector::new(vector).unwrap(), source);
                self.note(outcome, expected);
            }
            Step::Retarget { index, vector } => {
                let Some(from) = self.pick(index).map(|index| &self.mappings[index]) else {
                    return;
                };
                let expected = self.naive.map(vector, from.source().entry);
                let outcome = self.relay.retarget(from, 0, L2Vector::new(vector).unwrap());
                self.note(outcome, expected);
            }
            Step::Unmap { index } => self.unmap(index),
            Step::Mask { index } => self.set_masking(index, Masking::Masked),
            Step::Unmask { index } => self.set_masking(index, Masking::Unmasked),
            Step::Quarantine { index } => self.quarantine(index),
            Step::Serve { irr } => {
                self.serve(irr);
                self.words_agree();
            }
        }
        self.lists_agree();
    }

    fn serve(&mut self, irr: u32) {
        let waited = !self.block.work().is_empty();
        self.block.service(|| irr);
        if waited {
            self.naive.serve(irr);
            self.tickets.retain(|(_, ticket)| ticket.poll().is_pending());
            assert!(self.tickets.is_empty(), "a request was not served");
        }
    }

    /// After the owner has served, each slot does what the naive book says.
    fn words_agree(&self) {
        for slot in Slot::all() {
            let live = |line: &&Line| line.slot == slot.get() && line.mode == Mode::Posted;
            let expected = match self.naive.lines.iter().find(live) {
                None => Target::Unmapped(slot),
                Some(line) if line.masking == Masking::Masked => Target::Held(slot),
                Some(line) => Target::Banked(L2Vector::new(line.vector).unwrap()),
            };
            assert_eq!(self.block.slot_word(slot).target(), Some(expected), "{slot:?}");
        }
    }

    fn lists_agree(&mut self) {
        self.naive.lines.sort_by_key(|line| line.slot);
        let listed: Vec<_> = self
            .relay
            .mappings()
            .filter(|listed| listed.mode != Mode::Refused)
            .map(|listed| {
                let slot = listed.reserved.unwrap().get() - BASE;
                let place = (slot, listed.vector.get(), listed.source.entry);
                (place, listed.references, listed.generation, listed.mode)
            })
            .collect();
        let expected = self.naive.lines.iter().map(|line| {
            let place = (line.slot, line.vector, line.entry);
            (place, line.references, line.generation, line.mode)
        });
        assert_eq!(listed, expected.collect::<Vec<_>>());
    }

    /// Gives everything back; then all 32 slots must be free.
    fn nothing_leaks(&mut self) {
        while !self.mappings.is_empty() {
            self.unmap(0);
        }
        self.serve(0);
        for number in 0..32 {
            let vector = L2Vector::new(0x80 + number).unwrap();
            let mapping = self.relay.map(0, vector, Source { device: 2, entry: 0 });
            if mapping.is_err() {
                // A slot that pended at the last look is asked after once more.
                self.block.service(|| 0);
                let again = self.relay.map(0, vector, Source { device: 2, entry: 0 });
                assert!(again.is_ok(), "a slot is lost");
            }
        }
    }
}

proptest! {
    #[test]
    fn the_control_plane_is_the_naive_one(steps in prop::collection::vec(step(), 0..300)) {
        let blocks = Box::new([RelayBlock::new()]);
        let mut pair = Pair {
            block: &blocks[0],
            relay: Box::new(Relay::new(&blocks, ReservedBlock::new(BASE).unwrap())),
            naive: Naive::new(),
            mappings: Vec::new(),
            tickets: Vec::new(),
        };
        for step in steps {
            pair.run(step);
        }
        pair.nothing_leaks();
    }
}
