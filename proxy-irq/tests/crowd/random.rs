// SPDX-License-Identifier: MIT OR Apache-2.0
//! 1,024 CPUs in random order: every ring is answered exactly once, whatever is mapped and unmapped
//! meanwhile, and nothing is left over at the end.

use proptest::{
    prelude::Rng,
    test_runner::{RngAlgorithm, TestRng},
};
use proxy_irq::{
    Kick, L2Vector, MapError, Mapping, Mode, Relay, RelayBlock, ReservedBlock, Slot, SlotWord,
    Source, Ticket,
};

use crate::{
    lines::{Account, JUNK},
    machine::Cpu,
};

const CPUS: usize = 1024;
const BASE: u8 = 0x40;

/// The vectors of IPIs; those of devices lie above.
const IPIS: core::ops::Range<u8> = 0x20..0x30;
const DEVICES: core::ops::Range<u8> = 0x30..0xff;

struct World<'a> {
    relay: Relay<'a, CPUS>,
    cpus: Vec<Cpu<'a>>,
    lines: Vec<Mapping>,
    tickets: Vec<Ticket<'a>>,
    account: Account,
    random: TestRng,
    entries: u32,
    refused: u64,
}

impl World<'_> {
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.random.next_u32()).unwrap() % limit
    }

    fn vector(&mut self, range: core::ops::Range<u8>) -> L2Vector {
        let offset = self.below(range.len());
        L2Vector::new(range.start + u8::try_from(offset).unwrap()).unwrap()
    }

    /// Half of all that happens is on eight CPUs, so that they fill up.
    fn cpu(&mut self) -> usize {
        let limit = if self.below(2) == 0 { 8 } else { CPUS };
        self.below(limit)
    }

    fn slot(mapping: &Mapping) -> Slot {
        Slot::new(mapping.reserved_vector().get() - BASE).unwrap()
    }

    fn map(&mut self) {
        let (cpu, vector) = (self.cpu(), self.vector(DEVICES));
        let taken = |line: &Mapping| line.cpu() == cpu && line.vector() == vector;
        if self.lines.iter().any(taken) || self.account.expects(cpu, vector) {
            return;
        }
        self.entries += 1;
        match self.relay.map(cpu, vector, Source { device: 7, entry: self.entries }) {
            Ok(mapping) => {
                let slot = Self::slot(&mapping);
                let same = |line: &Mapping| line.cpu() == cpu && Self::slot(line) == slot;
                assert!(!self.lines.iter().any(same), "a slot was given twice");
                self.account.map(cpu, slot, vector);
                self.lines.push(mapping);
            }
            Err(error) => {
                assert_eq!(error, MapError::BlockFull);
                self.refused += 1;
            }
        }
    }

    fn unmap(&mut self) {
        if !self.lines.is_empty() {
            let index = self.below(self.lines.len());
            let mapping = self.lines.swap_remove(index);
            let ticket = self.relay.unmap(mapping).unwrap();
            self.cpus[ticket.cpu()].kick(ticket.kick());
            self.tickets.push(ticket);
            self.tickets.retain(|ticket| ticket.poll().is_pending());
        }
    }

    fn ring(&mut self) {
        if !self.lines.is_empty() {
            let index = self.below(self.lines.len());
            let (cpu, vector) = (self.lines[index].cpu(), self.lines[index].vector());
            self.ring_at(cpu, Self::slot(&self.lines[index]), vector);
        }
    }

    /// The host invents an interrupt where nothing is mapped.
    fn junk(&mut self) {
        let (cpu, slot) = (self.cpu(), self.below(32));
        let slot = Slot::new(u8::try_from(slot).unwrap()).unwrap();
        if self.cpus[cpu].block.slot_word(slot) == SlotWord::unmapped(slot) {
            self.ring_at(cpu, slot, JUNK);
        }
    }

    fn ring_at(&mut self, cpu: usize, slot: Slot, vector: L2Vector) {
        if !self.account.is_open(cpu, slot) {
            self.account.ring(cpu, slot, vector);
            self.cpus[cpu].pend(slot);
        }
    }

    fn send(&mut self) {
        let (cpu, vector) = (self.cpu(), self.vector(IPIS));
        if !self.account.is_sent(cpu, vector) {
            self.account.send(cpu, vector);
            let kick = self.cpus[cpu].block.post_trusted(vector);
            self.cpus[cpu].kick(kick);
        }
    }

    fn interrupt(&mut self, cpu: usize) {
        if let Some(slot) = self.cpus[cpu].interrupt() {
            self.account.land(cpu, slot);
        }
    }

    fn run(&mut self, cpu: usize) {
        let account = &mut self.account;
        let drained = self.cpus[cpu].run(|vector| account.take(cpu, vector));
        self.account.reject(cpu, drained.spurious);
    }

    fn step(&mut self) {
        let cpu = self.cpu();
        match self.below(16) {
            0..2 => self.map(),
            2 => self.unmap(),
            3..6 => self.ring(),
            6 => self.junk(),
            7..9 => self.send(),
            9..12 => self.interrupt(cpu),
            12 => self.cpus[cpu].service(),
            _ => self.run(cpu),
        }
    }

    /// Lets every CPU do what it has to do, and nothing more.
    fn settle(&mut self) {
        for cpu in 0..CPUS {
            while !self.cpus[cpu].is_idle() {
                self.interrupt(cpu);
                self.cpus[cpu].service();
                self.run(cpu);
            }
        }
        assert!(self.account.is_settled(), "rung and never answered");
        assert!(self.tickets.iter().all(|ticket| ticket.poll().is_ready()), "never served");
    }
}

impl World<'_> {
    /// Maps all slots of all CPUs. A slot whose last interrupt pended when its owner looked needs the
    /// owner to look once more.
    fn fill(&mut self) {
        for cpu in 0..CPUS {
            for number in DEVICES.take(32) {
                let (vector, entry) = (L2Vector::new(number).unwrap(), number.into());
                let source = Source { device: 8, entry };
                if self.relay.map(cpu, vector, source).is_err() {
                    self.cpus[cpu].kick(Kick::Needed);
                    self.settle();
                    assert!(self.relay.map(cpu, vector, source).is_ok(), "CPU {cpu} lost a slot");
                }
            }
        }
    }
}

/// Runs `body` where a book of 1,024 CPUs fits on the stack.
fn with_room(body: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(body).unwrap();
    thread.join().unwrap();
}

fn blocks() -> Box<[RelayBlock; CPUS]> {
    let blocks: Vec<_> = (0..CPUS).map(|_| RelayBlock::new()).collect();
    blocks.into_boxed_slice().try_into().unwrap()
}

#[test]
fn with_1024_cpus_every_ring_is_answered_exactly_once() {
    with_room(|| {
        let blocks = blocks();
        let mut world = World {
            relay: Relay::new(&blocks, ReservedBlock::new(BASE).unwrap()),
            cpus: blocks.iter().map(Cpu::new).collect(),
            lines: Vec::new(),
            tickets: Vec::new(),
            account: Account::default(),
            random: TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
            entries: 0,
            refused: 0,
        };
        for _ in 0..300_000 {
            world.step();
        }
        world.settle();
        let account = &world.account;
        assert_eq!(account.rung, account.taken + account.spurious);
        let seen = (account.rung, account.spurious, world.refused);
        assert!(
            seen.0 > 50_000 && seen.1 > 5_000 && seen.2 > 1_000,
            "too little happened: {seen:?}"
        );
        while !world.lines.is_empty() {
            world.unmap();
        }
        world.settle();
        world.fill();
        let posted = world.relay.mappings().filter(|listed| listed.mode == Mode::Posted);
        assert_eq!(posted.count(), 32 * CPUS);
    });
}
