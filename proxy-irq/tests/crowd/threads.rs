// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same with real threads, which share memory as CPUs do: two owners, devices that ring and are
//! mapped and unmapped all the while, and a sender of IPIs.
//!
//! An interrupt pends in a word that stands for L1's IRR until its owner takes it between two steps of
//! its own loop. Each line is rung again only when it has been answered, so each ring has one answer.

use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};
use std::thread;

use proxy_irq::{
    ApicMode, L2Vector, Mapping, Relay, RelayBlock, ReservedBlock, Slot, Source, Ticket,
};

const CPUS: usize = 2;
const BASE: u8 = 0x40;

/// How many rings there are, and how many IPIs.
const RINGS: u64 = 20_000;

/// The vector of IPIs; those of lines follow from `FIRST` on.
const IPI: u8 = 0x31;
const FIRST: u8 = 0x80;

/// How many lines each CPU has.
const LINES: usize = 24;

/// One CPU's hardware, and the answers of its L2.
#[derive(Debug, Default)]
struct Wire {
    irr: AtomicU32,
    /// How often L2 took the vector of each line.
    taken: [AtomicU64; LINES],
    /// How often each slot was found unmapped.
    spurious: [AtomicU64; 32],
    ipis: AtomicU64,
}

struct Machine {
    blocks: [RelayBlock; CPUS],
    wires: [Wire; CPUS],
    ringing: AtomicBool,
    sending: AtomicBool,
}

/// One line of a device.
#[derive(Debug)]
struct Line {
    cpu: usize,
    index: usize,
    mapping: Option<Mapping>,
    slot: Slot,
    /// What the two counters of its answers were when it was rung last.
    rung: Option<(u64, u64)>,
}

fn vector(number: usize) -> L2Vector {
    L2Vector::new(u8::try_from(number).unwrap()).unwrap()
}

impl Machine {
    /// The loop of one owner, with an interrupt between any two steps.
    fn own(&self, cpu: usize) {
        let (block, wire) = (&self.blocks[cpu], &self.wires[cpu]);
        let interrupt =
            || Slot::in_bits(wire.irr.swap(0, AcqRel)).for_each(|slot| block.on_posted(slot));
        let (mut rvi, mut turns) = (0, 0_u64);
        while self.ringing.load(Acquire) || self.sending.load(Acquire) {
            interrupt();
            block.service(|| wire.irr.load(Acquire));
            interrupt();
            let drained = crate::told::drain(block, rvi);
            rvi = drained.rvi;
            for slot in Slot::in_bits(drained.spurious) {
                wire.spurious[slot.index()].fetch_add(1, Release);
            }
            if block.try_enter_l2().is_ok() {
                rvi = self.run_l2(cpu, rvi);
                block.resume();
            }
            turns += 1;
            match turns % 64 {
                0 => block.set_mode(ApicMode::Offload),
                32 => block.set_mode(ApicMode::Banked),
                16 | 48 => thread::yield_now(),
                _ => (),
            }
        }
    }

    /// L2 takes what it can; returns the RVI that is left.
    fn run_l2(&self, cpu: usize, rvi: u8) -> u8 {
        let (page, wire) = (self.blocks[cpu].page(), &self.wires[cpu]);
        while let Some(taken) = page.deliverable() {
            assert!(rvi >= taken.get(), "the RVI hides a vector");
            page.deliver(taken);
            page.end_of_interrupt();
            match taken.get().checked_sub(FIRST) {
                Some(line) => wire.taken[usize::from(line)].fetch_add(1, Release),
                None => wire.ipis.fetch_add(1, Release),
            };
        }
        page.rvi()
    }

    /// Sends IPIs to both CPUs, each when the last one was taken; returns how many.
    fn send(&self) -> u64 {
        let mut sent = [0; CPUS];
        while sent.iter().sum::<u64>() < RINGS {
            for (cpu, sent) in sent.iter_mut().enumerate() {
                let taken = self.wires[cpu].ipis.load(Acquire);
                assert!(taken <= *sent, "an IPI came twice");
                if taken == *sent {
                    *sent += 1;
                    let _kick = self.blocks[cpu].post_trusted(vector(IPI.into()));
                }
            }
            thread::yield_now();
        }
        while (0..CPUS).any(|cpu| self.wires[cpu].ipis.load(Acquire) != sent[cpu]) {
            thread::yield_now();
        }
        self.sending.store(false, Release);
        sent.iter().sum()
    }

    fn answers(&self, line: &Line) -> (u64, u64) {
        let wire = &self.wires[line.cpu];
        (wire.taken[line.index].load(Acquire), wire.spurious[line.slot.index()].load(Acquire))
    }

    /// Returns whether the last ring of `line` has been answered.
    fn is_answered(&self, line: &mut Line) -> bool {
        let Some((taken, spurious)) = line.rung else { return true };
        let (now_taken, now_spurious) = self.answers(line);
        let answers = now_taken - taken + now_spurious - spurious;
        assert!(answers <= 1, "{line:?} was answered twice");
        if answers == 1 {
            line.rung = None;
        }
        answers == 1
    }

    fn ring(&self, line: &mut Line) {
        line.rung = Some(self.answers(line));
        self.wires[line.cpu].irr.fetch_or(line.slot.bit(), AcqRel);
    }

    /// Unmaps `line`, perhaps while its ring is on the way, and waits for both answers. Other lines
    /// are not mapped meanwhile, so what its slot reports is its own.
    fn unmap<'a>(&self, relay: &mut Relay<'a, CPUS>, line: &mut Line) {
        let Some(mapping) = line.mapping.take() else { return };
        let ticket: Ticket<'a> = relay.unmap(mapping).unwrap();
        while ticket.poll().is_pending() || !self.is_answered(line) {
            thread::yield_now();
        }
    }

    /// Rings all lines and unmaps one now and then; returns how many unmaps there were.
    fn drive(&self, relay: &mut Relay<'_, CPUS>) -> u64 {
        let all = (0..CPUS).flat_map(|cpu| (0..LINES).map(move |index| (cpu, index)));
        let slot = Slot::new(0).unwrap();
        let mut lines: Vec<_> =
            all.map(|(cpu, index)| Line { cpu, index, mapping: None, slot, rung: None }).collect();
        let (mut rings, mut unmaps) = (0, 0);
        while rings < RINGS {
            let before = rings;
            for line in &mut lines {
                if !self.is_answered(line) {
                    continue;
                }
                if line.mapping.is_none() {
                    let source = Source { device: 1, entry: u32::try_from(line.index).unwrap() };
                    let wanted = vector(usize::from(FIRST) + line.index);
                    let mapping = relay.map(line.cpu, wanted, source).unwrap();
                    line.slot = Slot::new(mapping.reserved_vector().get() - BASE).unwrap();
                    line.mapping = Some(mapping);
                }
                self.ring(line);
                rings += 1;
                if rings.is_multiple_of(7) {
                    self.unmap(relay, line);
                    unmaps += 1;
                }
            }
            if rings == before {
                thread::yield_now();
            }
        }
        while lines.iter_mut().any(|line| !self.is_answered(line)) {
            thread::yield_now();
        }
        self.ringing.store(false, Release);
        unmaps
    }
}

#[test]
fn with_real_threads_every_ring_is_answered_exactly_once() {
    let machine = Machine {
        blocks: [RelayBlock::new(), RelayBlock::new()],
        wires: [Wire::default(), Wire::default()],
        ringing: AtomicBool::new(true),
        sending: AtomicBool::new(true),
    };
    let (unmaps, sent) = thread::scope(|scope| {
        let machine = &machine;
        for cpu in 0..CPUS {
            scope.spawn(move || machine.own(cpu));
        }
        let sender = scope.spawn(|| machine.send());
        let mut relay = Relay::new(&machine.blocks, ReservedBlock::new(BASE).unwrap());
        (machine.drive(&mut relay), sender.join().unwrap())
    });
    let total = |counters: fn(&Wire) -> &[AtomicU64]| -> u64 {
        machine.wires.iter().flat_map(counters).map(|counter| counter.load(Acquire)).sum()
    };
    let (taken, spurious) = (total(|wire| &wire.taken), total(|wire| &wire.spurious));
    assert!(taken + spurious >= RINGS && taken > RINGS / 2, "{taken} taken, {spurious} spurious");
    assert_eq!(total(|wire| core::slice::from_ref(&wire.ipis)), sent);
    assert!(unmaps > 500, "{unmaps} unmaps");
}
