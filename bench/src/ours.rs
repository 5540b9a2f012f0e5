// SPDX-License-Identifier: MIT OR Apache-2.0
//! The relay itself: the one module that knows `proxy-irq`'s block.
//!
//! Writers go through the control plane, so their storm is the real one: the owner executes each
//! unmap, between two interrupts, and the writer waits for it.

use std::sync::{Mutex, PoisonError};

use proxy_irq::{
    ApicMode, L2Vector, Mapping, Register, Relay, RelayBlock, ReservedBlock, SLOTS, Slot, Source,
    Ticket,
};

use crate::variant::{About, CPUS, Family, Pending, Scope, TOGGLED, Variant, vector_of};

/// The reserved vectors; which ones makes no difference here.
const RESERVED: u8 = 0x40;

/// A CPU of the relay: its block, in which L2's virtual APIC is.
#[derive(Debug)]
pub struct Cpu {
    blocks: [RelayBlock; 1],
}

impl Cpu {
    /// Returns a CPU in which nothing is mapped.
    pub(crate) fn new(mode: ApicMode) -> Self {
        let blocks = [const { RelayBlock::new() }; 1];
        blocks[0].set_mode(mode);
        Self { blocks }
    }

    /// Maps the slots to `vectors`, in this order.
    pub(crate) fn map(&'static self, vectors: &[u8]) -> Control {
        let mut relay = Relay::new(&self.blocks, reserved());
        let map = |(entry, vector): (usize, &u8)| relay.map(0, l2(*vector), source(entry)).ok();
        let mapping = vectors.iter().enumerate().filter_map(map).last();
        self.serve();
        Control { relay, mapping, ticket: None }
    }

    /// Takes an interrupt on the reserved vector of `slot`.
    #[inline(always)]
    pub(crate) fn post(&self, slot: Slot) {
        self.blocks[0].on_posted(slot);
    }

    /// Makes `vector` pending from another CPU.
    #[inline(always)]
    pub(crate) fn post_remote(&self, vector: L2Vector) {
        let _kick = self.blocks[0].post_trusted(vector);
    }

    /// Does what the control plane has asked for.
    #[inline(always)]
    pub(crate) fn serve(&self) {
        self.blocks[0].service(|| 0);
    }

    /// Moves all that pends into L2's virtual APIC; returns the RVI.
    #[inline(always)]
    pub(crate) fn drain(&self) -> u8 {
        self.blocks[0].drain(0).rvi
    }

    /// Takes what L2 would be interrupted by, as if it ran and came back.
    pub(crate) fn take_requested(&self) -> [u32; 8] {
        let page = self.blocks[0].page();
        let requested = core::array::from_fn(|bank| {
            let bits = page.read_bank(Register::IRR, bank);
            page.write_bank(Register::IRR, bank, 0);
            bits
        });
        self.blocks[0].resume();
        requested
    }
}

/// The control plane of one CPU, with the mapping that a writer toggles.
#[derive(Debug)]
pub struct Control {
    relay: Relay<'static, 1>,
    mapping: Option<Mapping>,
    ticket: Option<Ticket<'static>>,
}

impl Control {
    /// Unmaps, or waits for that, or maps again. `false` if the owner has not answered yet.
    fn step(&mut self) -> bool {
        if self.ticket.as_ref().is_some_and(|ticket| ticket.poll().is_pending()) {
            return false;
        }
        self.ticket = None;
        if let Some(mapping) = self.mapping.take() {
            self.ticket = self.relay.unmap(mapping).ok();
        } else {
            self.mapping = self.relay.map(0, l2(vector_of(TOGGLED)), source(TOGGLED)).ok();
        }
        true
    }
}

/// A CPU and its control plane.
#[derive(Debug)]
pub struct Table {
    cpu: &'static Cpu,
    control: Mutex<Control>,
}

/// An interrupt on the CPU that it is for.
#[derive(Debug)]
pub struct Local;

/// An interrupt for another CPU.
#[derive(Debug)]
pub struct Remote;

fn table() -> Table {
    let vectors = core::array::from_fn::<_, SLOTS, _>(vector_of);
    let cpu: &'static Cpu = Box::leak(Box::new(Cpu::new(ApicMode::Offload)));
    let control = cpu.map(&vectors);
    Table { cpu, control: Mutex::new(control) }
}

fn write(table: &Table) -> bool {
    table.control.lock().unwrap_or_else(PoisonError::into_inner).step()
}

fn drain(cpu: &Cpu) -> [u32; 8] {
    cpu.drain();
    cpu.take_requested()
}

impl Variant for Local {
    const ABOUT: About =
        About { id: "ours", name: "Lychgate, own CPU", family: Family::Ours, scope: Scope::PerCpu };
    type Table = Table;
    type View = Cpu;
    type Local<'a> = &'a Cpu;
    type Key = Slot;

    fn table() -> Table {
        table()
    }

    fn local(table: &Table) -> &Cpu {
        table.cpu
    }

    fn key(slot: Slot) -> Slot {
        slot
    }

    #[inline(always)]
    fn post(cpu: &Cpu, _pending: &Pending, slot: Slot) {
        cpu.post(slot);
    }

    fn write(table: &Table, _cpus: &[Pending; CPUS], _turn: u64) -> bool {
        write(table)
    }

    fn quiescent(cpu: &Cpu, _pending: &Pending) {
        cpu.serve();
    }

    fn drain(cpu: &Cpu, _pending: &Pending) -> [u32; 8] {
        drain(cpu)
    }
}

impl Variant for Remote {
    const ABOUT: About = About {
        id: "ours-remote",
        name: "Lychgate, other CPU",
        family: Family::Ours,
        scope: Scope::PerCpu,
    };
    type Table = Table;
    type View = Cpu;
    type Local<'a> = &'a Cpu;
    type Key = L2Vector;

    fn table() -> Table {
        table()
    }

    fn local(table: &Table) -> &Cpu {
        table.cpu
    }

    fn key(slot: Slot) -> L2Vector {
        l2(vector_of(slot.index()))
    }

    #[inline(always)]
    fn post(cpu: &Cpu, _pending: &Pending, vector: L2Vector) {
        cpu.post_remote(vector);
    }

    fn write(table: &Table, _cpus: &[Pending; CPUS], _turn: u64) -> bool {
        write(table)
    }

    fn quiescent(cpu: &Cpu, _pending: &Pending) {
        cpu.serve();
    }

    fn drain(cpu: &Cpu, _pending: &Pending) -> [u32; 8] {
        drain(cpu)
    }
}

/// Returns what one map and one unmap cost, in ticks, with all slots of `N` CPUs but one taken.
pub(crate) fn remap<const N: usize>(now: impl Fn() -> u64, times: usize) -> Vec<[u64; 2]> {
    let blocks: Vec<RelayBlock> = (0..N).map(|_| RelayBlock::new()).collect();
    let Ok(blocks) = <&[RelayBlock; N]>::try_from(blocks.as_slice()) else { return Vec::new() };
    let mut relay = Relay::new(blocks, reserved());
    for cpu in 0..N {
        for entry in 0..SLOTS - usize::from(cpu == N - 1) {
            let _kept = relay.map(cpu, l2(vector_of(entry)), source(entry));
        }
    }
    let mut round = |_: usize| {
        let start = now();
        let mapping = relay.map(N - 1, l2(vector_of(TOGGLED)), source(TOGGLED)).ok()?;
        let mapped = now();
        let ticket = relay.unmap(mapping).ok()?;
        blocks[N - 1].service(|| 0);
        let unmapped = ticket.poll().is_ready().then(&now)?;
        Some([mapped.saturating_sub(start), unmapped.saturating_sub(mapped)])
    };
    (0..times).filter_map(&mut round).collect()
}

fn reserved() -> ReservedBlock {
    ReservedBlock::new(RESERVED).unwrap_or_else(|| unreachable!("the block is aligned"))
}

fn l2(vector: u8) -> L2Vector {
    L2Vector::new(vector.max(16)).unwrap_or_else(|| unreachable!("16 and above are vectors"))
}

fn source(entry: usize) -> Source {
    Source { device: 0x10, entry: u32::try_from(entry).unwrap_or(u32::MAX) }
}
