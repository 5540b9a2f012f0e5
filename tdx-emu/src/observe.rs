// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the emulator sees of the relay: figures and a trace, taken without asking the TD.
//!
//! The IOMMU and the TDX module call one hook for each event, on the CPU where it happens; `cpu` is
//! the virtual CPU concerned. A hook never waits: it counts, and notes the event if a trace was asked
//! for. Before `start` nothing is attributed to vectors of L2.

/// A number of events.
mod counter;

/// Messages between the device and L1.
mod lanes;

/// Interrupts by lines of devices.
mod lines;

/// The paravisor's relay table.
mod relay_table;

/// Where it passes interrupts on to.
mod forward;

/// Figures of each relay path.
mod rows;

/// Messages that go by the host.
mod proxied;

/// The cost of one relay pass.
mod pass;

/// When L2 was started.
mod first_entry;

/// The last events.
mod trace;

/// All figures of a CPU.
mod figures;

/// Names of the message sources.
mod sources;

/// What the guest says that it counted.
mod claim;

/// Refused requests of devices.
mod dma_faults;

/// The figures as JSON.
pub(crate) mod report;

use core::fmt;

use spin::{Mutex, Once};
use tdcall::leaf::Leaf;

use self::{
    claim::Claim,
    dma_faults::DmaFaults,
    figures::Figures,
    first_entry::FirstEntry,
    lines::Lines,
    relay_table::{LANES, Slot, lane_of},
    rows::Rows,
    sources::Sources,
    trace::{Entry, Event},
};
#[cfg(target_os = "none")]
pub(crate) use self::{
    proxied::{proxied, proxied_in_vain, proxy_called},
    sources::Bdf,
};
pub(crate) use self::{relay_table::RelayTable, sources::Source};
use crate::iommu::dma::Fault;

/// Most CPUs.
const CPUS: usize = 16;

/// How to watch.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Where the paravisor's relay table is, if the image has one.
    pub(crate) relay_table: Option<RelayTable>,
    /// Reads eight bytes of the TD's private memory.
    pub(crate) read_private: fn(gpa: u64) -> Option<u64>,
    /// Reads the time-stamp counter.
    pub(crate) clock: fn() -> u64,
    /// Keep the last events?
    pub(crate) trace: Trace,
}

/// Whether events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// Only count.
    Off,
    /// Keep the last events.
    On,
}

static OPTIONS: Once<Options> = Once::new();
static SOURCES: Sources = Sources::new();
static FIRST_ENTRY: FirstEntry = FirstEntry::new();
static LINES: Lines = Lines::new();
static DMA_FAULTS: Mutex<DmaFaults> = Mutex::new(DmaFaults::new());
static FIGURES: [Figures; CPUS] = [const { Figures::new() }; CPUS];

/// Starts to attribute and to trace.
pub(crate) fn start(options: Options) {
    OPTIONS.call_once(|| options);
}

/// Names the device interrupt that has a physical vector.
pub(crate) fn source(irte_source: u8, source: Source) {
    SOURCES.name(irte_source, source);
}

/// A device's interrupts are switched on: a driver that looks now counts from zero.
pub(crate) fn switched_on(devfn: u8) {
    for figures in &FIGURES {
        let rows = figures.rows.used().filter(|(key, _)| is_of(key.source, devfn));
        rows.for_each(|(_, row)| row.restart());
    }
}

/// How many interrupts L2 took of those that its line is about, if it is about some.
pub(crate) fn relayed_lately(line: &str) -> Option<u64> {
    let Claim { devfn, entry, cpu } = Claim::parse(line)?;
    let rows = FIGURES.get(cpu)?.rows.used().filter(|(key, _)| {
        SOURCES.get(key.source).is_some_and(|source| (source.devfn, source.entry) == (devfn, entry))
    });
    Some(rows.map(|(_, row)| row.relayed_lately()).sum())
}

/// How many reserved vectors of the first `cpus` CPUs stand for an interrupt of a device now.
pub(crate) fn mappings(cpus: usize) -> usize {
    (0..cpus).map(mappings_of).sum()
}

/// What a reserved vector of `cpu` stands for now: the CPU on which L2 takes it, and its vector there.
pub(crate) fn relayed_as(cpu: usize, reserved: u8) -> Option<(usize, u8)> {
    match slot(cpu, lane_of(reserved)?) {
        Slot::Relayed(vector) => Some((cpu, vector)),
        Slot::Forwarded { cpu, vector } => Some((cpu.into(), vector)),
        Slot::Held | Slot::Unmapped => None,
    }
}

/// Whether the interrupts of a reserved vector of `cpu` wait in the paravisor until it is about to enter its L2.
pub(crate) fn is_banked(cpu: usize, reserved: u8) -> bool {
    lane_of(reserved).and_then(|lane| word(cpu, lane)).is_some_and(relay_table::is_banked)
}

/// Whether the paravisor on `cpu` has not yet seen something that another CPU posted for its L2.
pub(crate) fn has_remote_post(cpu: usize) -> bool {
    table_word(|table| table.flags(cpu)).is_some_and(relay_table::tells_of_remote_post)
}

fn mappings_of(cpu: usize) -> usize {
    (0..LANES).filter(|lane| slot(cpu, *lane) != Slot::Unmapped).count()
}

fn is_of(source: u8, devfn: u8) -> bool {
    SOURCES.get(source).is_some_and(|source| source.devfn == devfn)
}

/// A device message was accepted by the IOMMU and is about to be posted.
pub(crate) fn device_message(irte_source: u8, cpu: usize, vector: u8) {
    note(cpu, Event::Device, vector, u64::from(irte_source));
    if let Some(lane) = lane_of(vector) {
        of(cpu).lanes.message(lane, irte_source);
    }
}

/// The PIR bit of a device message is set; `old` tells whether it was before.
pub(crate) fn posted(cpu: usize, vector: u8, old: Bit) {
    note(cpu, Event::Post, vector, u64::from(old == Bit::WasSet));
    if old == Bit::WasSet {
        virr_merge(cpu, vector);
    }
}

/// State of a pending bit before it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bit {
    /// It was clear.
    WasClear,
    /// It was set: the new interrupt is merged with the earlier one.
    WasSet,
}

/// A notification of posted interrupts arrived.
pub(crate) fn notification(cpu: usize) {
    note(cpu, Event::Notification, 0, 0);
    of(cpu).notifications.bump();
}

/// A posted vector was moved to L1's VIRR and found its bit set.
pub(crate) fn virr_merge(cpu: usize, vector: u8) {
    if let Some(lane) = lane_of(vector) {
        of(cpu).lanes.merge(lane);
    }
}

/// L1 takes an interrupt.
pub(crate) fn l1_interrupt(cpu: usize, vector: u8) {
    let Some(lane) = lane_of(vector) else { return note(cpu, Event::L1Vector, vector, 0) };
    let slot = slot(cpu, lane);
    let destination = match slot {
        Slot::Relayed(vector) => u64::from(vector),
        Slot::Forwarded { cpu, vector } => (u64::from(cpu) + 1) << 8 | u64::from(vector),
        Slot::Held | Slot::Unmapped => 0,
    };
    note(cpu, Event::L1Vector, vector, destination);
    let figures = of(cpu);
    figures.lanes.taken((cpu, lane), slot, &rows_of, &figures.pass);
}

/// L1 executed so many instructions, if that is what the machine's clock counts.
pub(crate) fn l1_executed(cpu: usize, instructions: u64) {
    of(cpu).l1_instructions.add(instructions);
}

/// L1 called a leaf of the module.
pub(crate) fn tdcall(cpu: usize, leaf: Leaf) {
    // These two have events of their own.
    if leaf != Leaf::VP_VMCALL && leaf != Leaf::VP_ENTER {
        note(cpu, Event::Tdcall, 0, leaf.into_bits().into());
    }
}

/// L1 entered an L2.
pub(crate) fn vp_enter(cpu: usize, vm: u8, rvi: u8) {
    note(cpu, Event::VpEnter, rvi, u64::from(vm));
    if let Some(options) = OPTIONS.get() {
        FIRST_ENTRY.note(options.clock);
    }
    let figures = of(cpu);
    figures.vp_enter.bump();
    figures.lanes.passed_on();
    figures.pass.end(|took| {
        let arriving = figures
            .rows
            .used()
            .filter(|(key, row)| usize::from(key.taker) != cpu && row.in_flight.get() != 0);
        figures.lanes.rows_of(took, &rows_of).chain(arriving.map(|(_, row)| row))
    });
}

/// Returns the clock's ticks since L2 was entered first, if it was.
pub(crate) fn ticks_since_first_entry() -> Option<u64> {
    FIRST_ENTRY.ticks_to((OPTIONS.get()?.clock)())
}

/// L1 tried to enter an L2 while an interrupt was pending for itself.
pub(crate) fn vp_enter_refused(cpu: usize) {
    note(cpu, Event::VpEnter, 0, 0);
    of(cpu).vp_enter_refused.bump();
}

/// L2 takes an interrupt.
pub(crate) fn l2_interrupt(cpu: usize, vm: u8, vector: u8) {
    note(cpu, Event::L2Vector, vector, u64::from(vm));
    of(cpu).rows.delivered(cpu, vector);
}

/// L2 exited to L1 with this status in RAX.
pub(crate) fn l2_exit(cpu: usize, status: u64) {
    /// `TDX_L2_EXIT_PENDING_INTERRUPT`, upper half.
    const PENDING_INTERRUPT: u64 = 0x1102;
    note(cpu, Event::L2Exit, 0, status);
    let figures = of(cpu);
    figures.l2_exits.bump();
    if status >> 32 == PENDING_INTERRUPT {
        figures.l2_exits_pending_interrupt.bump();
        figures.pass.begin();
    }
}

/// The CPU left the TD for the host.
pub(crate) fn td_exit(cpu: usize, reason: u64) {
    /// `EXIT_REASON_EXTERNAL_INTERRUPT`.
    const EXTERNAL_INTERRUPT: u64 = 1;
    note(cpu, Event::TdExit, 0, reason);
    let figures = of(cpu);
    figures.td_exits.bump();
    if reason & 0xffff == EXTERNAL_INTERRUPT {
        figures.pass.interrupted();
    } else {
        figures.pass.td_exit();
    }
}

/// The TD asked the host for something. Of its operands those that a write of an MSR has: which one,
/// and what.
pub(crate) fn tdvmcall(cpu: usize, leaf: u64, operands: (u64, u64)) {
    const HLT: u64 = 12;
    const WRMSR: u64 = 32;
    /// `IA32_X2APIC_ICR`.
    const ICR: u64 = 0x830;
    note(cpu, Event::Tdvmcall, 0, leaf);
    let figures = of(cpu);
    figures.tdvmcalls.bump();
    if leaf == HLT {
        figures.lanes.passed_on();
    }
    if (leaf, operands.0) == (WRMSR, ICR) {
        figures.kicks.bump();
        let target = usize::try_from(operands.1 >> 32).unwrap_or(usize::MAX);
        if let Some(row) = figures.lanes.kicking(target, &rows_of) {
            row.kicks.bump();
            return figures.pass.kick();
        }
    }
    figures.pass.tdvmcall();
}

/// L1 ended an interrupt.
pub(crate) fn l1_eoi(cpu: usize) {
    note(cpu, Event::Eoi, 0, 0);
}

/// The IOMMU refused a request of a device; tells whether it is the first of that device.
pub(crate) fn dma_fault(fault: Fault) -> bool {
    DMA_FAULTS.lock().note(fault)
}

/// The IOMMU refused requests that it had no room to record.
pub(crate) fn dma_fault_overflow() {
    DMA_FAULTS.lock().overflows += 1;
}

/// The TD is told of an interrupt on a line that ends at `pin`.
pub(crate) fn line_told(pin: u8) {
    if let Some(line) = LINES.of(pin) {
        line.told.bump();
    }
}

/// How often the TD was told of an interrupt on any line.
pub(crate) fn lines_told() -> u64 {
    LINES.told()
}

/// The TD says that it is done with the interrupt of `pin`.
pub(crate) fn line_ended(pin: u8) {
    if let Some(line) = LINES.of(pin) {
        line.ended.bump();
    }
}

/// Prints all figures of the first `cpus` CPUs, and the trace if there is one.
pub(crate) fn print(sink: &mut dyn FnMut(fmt::Arguments<'_>), cpus: usize) {
    let lanes = (0..cpus).flat_map(|cpu| (0..LANES).map(move |lane| (cpu, lane)));
    for (cpu, lane) in lanes {
        of(cpu).lanes.reveal((cpu, lane), slot(cpu, lane), &rows_of);
    }
    for (cpu, figures) in FIGURES.iter().enumerate().take(cpus) {
        report::rows(sink, cpu, figures, &|cpu| &of(cpu).lanes, &SOURCES);
        report::cpu(sink, cpu, figures, mappings_of(cpu));
    }
    report::lines(sink, &LINES);
    report::dma_faults(sink, &DMA_FAULTS.lock());
    for (cpu, figures) in FIGURES.iter().enumerate().take(cpus) {
        report::trace(sink, cpu, figures);
    }
}

/// Prints how the run ended.
pub(crate) fn end(
    sink: &mut dyn FnMut(fmt::Arguments<'_>),
    status: &str,
    message: &str,
    instructions: u64,
) {
    report::end(sink, (status, message), instructions, &DMA_FAULTS.lock());
}

fn of(cpu: usize) -> &'static Figures {
    &FIGURES[cpu % CPUS]
}

fn rows_of(cpu: usize) -> &'static Rows {
    &of(cpu).rows
}

fn note(cpu: usize, event: Event, vector: u8, arg: u64) {
    let Some(options) = OPTIONS.get().filter(|options| options.trace == Trace::On) else { return };
    let figures = of(cpu);
    let (ts, l1) = ((options.clock)(), figures.l1_instructions.get());
    figures.trace.note(Entry { ts, l1, event, vector, arg });
}

/// What the paravisor's table says about a lane.
fn slot(cpu: usize, lane: usize) -> Slot {
    let Some(word) = word(cpu, lane) else { return Slot::Unmapped };
    let Some(lane) = forward::lane(word) else { return Slot::from_word(word) };
    let pair = table_word(|table| forward::address(table, cpu, lane));
    pair.map_or(Slot::Unmapped, |pair| forward::target(pair, lane))
}

/// The paravisor's word for a lane.
fn word(cpu: usize, lane: usize) -> Option<u64> {
    table_word(|table| table.slot(cpu, lane))
}

fn table_word(address: impl FnOnce(RelayTable) -> u64) -> Option<u64> {
    let Options { relay_table, read_private, .. } = OPTIONS.get()?;
    read_private(address((*relay_table)?))
}
