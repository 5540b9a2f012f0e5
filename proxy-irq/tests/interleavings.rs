// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random interleavings of everything, on one thread, against a reference that is a set of vectors.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod told;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proxy_irq::{
    Figures, Kick, L2Vector, MapError, Mapping, Register, Relay, RelayBlock, ReservedBlock, Slot,
    Source, Ticket, Work,
};

const CPUS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Map { cpu: usize, vector: u8, entry: u32 },
    Unmap { index: usize },
    Mask { index: usize },
    Unmask { index: usize },
    Post { cpu: usize, slot: u8 },
    Trusted { cpu: usize, vector: u8 },
    Device { cpu: usize, vector: u8 },
    Service { cpu: usize, irr: u32 },
    Drain { cpu: usize },
    Deliver { cpu: usize },
    Enter { cpu: usize },
    Quarantine,
}

fn step() -> impl Strategy<Value = Step> {
    // Few vectors and entries, so that references, merges and reuse happen.
    let (cpu, vector, entry) = (0..CPUS, 0x4eu8..0x54, 0u32..40);
    let index = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    prop_oneof![
        8 => (cpu.clone(), vector.clone(), entry)
            .prop_map(|(cpu, vector, entry)| Step::Map { cpu, vector, entry }),
        4 => index.clone().prop_map(|index| Step::Unmap { index }),
        1 => index.clone().prop_map(|index| Step::Mask { index }),
        2 => index.prop_map(|index| Step::Unmask { index }),
        8 => (cpu.clone(), 0u8..32).prop_map(|(cpu, slot)| Step::Post { cpu, slot }),
        2 => (cpu.clone(), 16u8..).prop_map(|(cpu, vector)| Step::Trusted { cpu, vector }),
        1 => (cpu.clone(), vector).prop_map(|(cpu, vector)| Step::Device { cpu, vector }),
        4 => (cpu.clone(), prop_oneof![3 => Just(0), 1 => any::<u32>()])
            .prop_map(|(cpu, irr)| Step::Service { cpu, irr }),
        4 => cpu.clone().prop_map(|cpu| Step::Drain { cpu }),
        2 => cpu.clone().prop_map(|cpu| Step::Deliver { cpu }),
        2 => cpu.prop_map(|cpu| Step::Enter { cpu }),
        1 => Just(Step::Quarantine),
    ]
}

/// What one slot does, as the reference has it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Relay(u8),
    Hold,
    Nothing,
}

/// The reference of one CPU: sets and maps, no bits.
#[derive(Clone, Debug)]
struct Cpu {
    slots: Vec<Does>,
    asked: BTreeMap<u8, Does>,
    pending: BTreeSet<u8>,
    remote: BTreeSet<u8>,
    held: BTreeSet<u8>,
    spurious: BTreeSet<u8>,
    virr: BTreeSet<u8>,
    device: BTreeSet<u8>,
    filtered: u64,
}

impl Cpu {
    fn new() -> Self {
        Self {
            slots: vec![Does::Nothing; 32],
            asked: BTreeMap::new(),
            pending: BTreeSet::new(),
            remote: BTreeSet::new(),
            held: BTreeSet::new(),
            spurious: BTreeSet::new(),
            virr: BTreeSet::new(),
            device: BTreeSet::new(),
            filtered: 0,
        }
    }

    fn post(&mut self, slot: u8) {
        match self.slots[usize::from(slot)] {
            Does::Relay(vector) => self.pending.insert(vector),
            Does::Hold => self.held.insert(slot),
            Does::Nothing => self.spurious.insert(slot),
        };
    }

    fn service(&mut self) {
        for (slot, does) in core::mem::take(&mut self.asked) {
            self.slots[usize::from(slot)] = does;
            if does != Does::Hold
                && self.held.remove(&slot)
                && let Does::Relay(vector) = does
            {
                self.pending.insert(vector);
            }
        }
    }

    fn drain(&mut self) {
        self.virr.append(&mut self.pending);
        self.virr.append(&mut self.remote);
        self.spurious.clear();
        self.filtered += self.device.len() as u64;
        self.device.clear();
    }
}

/// The thing and its reference, side by side.
struct Pair<'a> {
    blocks: &'a [RelayBlock; CPUS],
    relay: Relay<'a, CPUS>,
    mappings: Vec<Mapping>,
    tickets: Vec<Ticket<'a>>,
    cpus: Vec<Cpu>,
}

impl Pair<'_> {
    fn slot(mapping: &Mapping) -> u8 {
        mapping.reserved_vector().get() & 31
    }

    fn map(&mut self, cpu: usize, vector: u8, entry: u32) {
        let vector = L2Vector::new(vector).unwrap();
        let source = Source { device: 1, entry };
        match self.relay.map(cpu, vector, source) {
            Ok(mapping) => {
                let slot = Self::slot(&mapping);
                if !self.mappings.contains(&mapping) {
                    assert_eq!(self.cpus[cpu].slots[usize::from(slot)], Does::Nothing);
                    assert!(!self.cpus[cpu].asked.contains_key(&slot), "reused too early");
                    self.cpus[cpu].slots[usize::from(slot)] = Does::Relay(vector.get());
                }
                self.mappings.push(mapping);
            }
            Err(error) => assert!(matches!(error, MapError::BlockFull | MapError::Quarantined)),
        }
    }

    fn unmap(&mut self, index: usize) {
        if self.mappings.is_empty() {
            return;
        }
        let mapping = self.mappings.swap_remove(index % self.mappings.len());
        if !self.mappings.contains(&mapping) {
            self.cpus[mapping.cpu()].asked.insert(Self::slot(&mapping), Does::Nothing);
        }
        self.tickets.push(self.relay.unmap(mapping).unwrap());
    }

    fn set_masking(&mut self, index: usize, masked: Does) {
        let Some(mapping) = self.mappings.get(index % self.mappings.len().max(1)) else { return };
        let does = match masked {
            Does::Hold => Does::Hold,
            _ => Does::Relay(mapping.vector().get()),
        };
        let (cpu, slot) = (&mut self.cpus[mapping.cpu()], Self::slot(mapping));
        if *cpu.asked.get(&slot).unwrap_or(&cpu.slots[usize::from(slot)]) != does {
            cpu.asked.insert(slot, does);
        }
        let _ticket = match masked {
            Does::Hold => self.relay.mask(mapping),
            _ => self.relay.unmask(mapping),
        };
    }

    /// Quarantines the newest ticket that waits, as a caller does after a timeout.
    fn quarantine(&mut self) {
        let Some(ticket) = self.tickets.pop() else { return };
        if ticket.poll().is_ready() {
            return;
        }
        let cpu = ticket.cpu();
        self.relay.quarantine(ticket);
        for slot in Slot::all() {
            let unmapped = self.blocks[cpu].slot_word(slot) == proxy_irq::SlotWord::unmapped(slot);
            if unmapped && self.cpus[cpu].asked.get(&slot.get()) == Some(&Does::Nothing) {
                self.cpus[cpu].slots[usize::from(slot.get())] = Does::Nothing;
            }
        }
    }

    fn check_enter(&self, cpu: usize) {
        let reference = &self.cpus[cpu];
        let block = &self.blocks[cpu];
        // There was no drain since, so it must not be tried.
        if block.work().contains(Work::POSTED) {
            return;
        }
        if block.try_enter_l2().is_ok() {
            assert!(reference.pending.is_empty() && reference.remote.is_empty());
            assert!(reference.device.is_empty() && reference.asked.is_empty());
            assert_eq!(block.post_remote(L2Vector::new(0xff).unwrap()), Kick::Needed);
            block.resume();
            let _ = told::drain(block, 0);
        }
    }

    fn drain(&mut self, cpu: usize) {
        let apic = self.blocks[cpu].page();
        let spurious: Vec<_> = self.cpus[cpu].spurious.iter().copied().collect();
        let drained = told::drain(&self.blocks[cpu], apic.rvi());
        self.cpus[cpu].drain();
        assert!(Slot::in_bits(drained.spurious).map(Slot::get).eq(spurious));
        assert_eq!(drained.rvi, apic.rvi());
    }

    /// L2 runs, which takes a drain, and takes a vector.
    fn deliver(&mut self, cpu: usize) {
        self.drain(cpu);
        if let Some(vector) = self.blocks[cpu].page().highest(Register::IRR) {
            self.blocks[cpu].page().deliver(vector);
            self.blocks[cpu].page().end_of_interrupt();
            self.blocks[cpu].resume();
            self.cpus[cpu].virr.remove(&vector.get());
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Map { cpu, vector, entry } => self.map(cpu, vector, entry),
            Step::Unmap { index } => self.unmap(index),
            Step::Mask { index } => self.set_masking(index, Does::Hold),
            Step::Unmask { index } => self.set_masking(index, Does::Nothing),
            Step::Post { cpu, slot } => {
                self.blocks[cpu].on_posted(Slot::new(slot).unwrap());
                self.cpus[cpu].post(slot);
            }
            Step::Trusted { cpu, vector } => {
                let _ = self.blocks[cpu].post_trusted(L2Vector::new(vector).unwrap());
                self.cpus[cpu].remote.insert(vector);
            }
            Step::Device { cpu, vector } => {
                let _ = self.blocks[cpu].post_remote(L2Vector::new(vector).unwrap());
                self.cpus[cpu].device.insert(vector);
            }
            Step::Service { cpu, irr } => {
                self.blocks[cpu].service(|| irr);
                self.cpus[cpu].service();
            }
            Step::Drain { cpu } => self.drain(cpu),
            Step::Deliver { cpu } => self.deliver(cpu),
            Step::Enter { cpu } => self.check_enter(cpu),
            Step::Quarantine => self.quarantine(),
        }
    }

    fn check(&mut self) {
        for cpu in 0..CPUS {
            self.drain(cpu);
            let virr: BTreeSet<_> =
                self.blocks[cpu].page().vectors(Register::IRR).map(L2Vector::get).collect();
            assert_eq!(virr, self.cpus[cpu].virr);
            let Figures { posted, remote, relayed, merged, .. } = self.blocks[cpu].figures();
            assert_eq!(posted + remote, relayed + merged);
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_is_invented(steps in prop::collection::vec(step(), 0..400)) {
        let blocks = Box::new([RelayBlock::new(), RelayBlock::new()]);
        let mut pair = Pair {
            blocks: &blocks,
            relay: Relay::new(&blocks, ReservedBlock::new(0x40).unwrap()),
            mappings: Vec::new(),
            tickets: Vec::new(),
            cpus: vec![Cpu::new(); CPUS],
        };
        for step in steps {
            pair.run(step);
        }
        pair.check();
    }
}
