// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of L2, and of the run.
//!
//! L1 says what it has counted, then passes the verdict on to the host. Should the host let it live, it
//! goes on as a CPU without work: L2's end is not L1's.

use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use log::{error, info};
use paravisor::{
    hyperv_host::tally::{self, Run},
    platform,
};
use proxy_irq::L2Vector;
use tdcall::{
    Instruction,
    md::l2_vmcs::Field,
    tdvmcall::{self, IoSize},
};
use x86_64::instructions::interrupts;

use super::{devices, fields, halt, io_apic, sent, serial, vcpu::Vcpu, vm::vm, vmbus};
use crate::{
    cpus,
    interrupt::{
        counters::{self, Counter},
        synic, vectors,
    },
    memory::visibility,
};

/// The verdict on a run that L2 has ended as it wanted.
pub(super) const SUCCESS: u32 = 0;
const FAILURE: u32 = 1;

static ENDED: AtomicBool = AtomicBool::new(false);

/// L2 has ended the run with `verdict`.
pub(super) fn by_l2(index: usize, verdict: u32) -> ! {
    serial::flush();
    say_figures();
    finish(index, verdict)
}

/// L2 cannot go on.
pub(super) fn of_l2(vcpu: &mut Vcpu, why: fmt::Arguments<'_>) -> ! {
    let index = vcpu.index;
    serial::flush();
    error!("l2 ended: {why}: cpu={index}");
    say_state(vcpu);
    say_figures();
    finish(index, FAILURE)
}

fn finish(index: usize, verdict: u32) -> ! {
    let port = platform::END_OF_RUN;
    let refused = tdvmcall::io_write(&Instruction, port, IoSize::Byte, verdict).is_err();
    if refused {
        error!("the host does not end the run");
    }
    interrupts::disable();
    halt::for_ever(index)
}

fn say_state(vcpu: &mut Vcpu) {
    let state = vcpu.state();
    error!("l2 state: rip={:#x} rsp={:#x} rflags={:#x}", state.rip, state.rsp, state.rflags);
    error!(
        "l2 state: rax={:#x} rbx={:#x} rcx={:#x} rdx={:#x} rsi={:#x} rdi={:#x} rbp={:#x}",
        state.rax, state.rbx, state.rcx, state.rdx, state.rsi, state.rdi, state.rbp
    );
    let field = |field| fields::read(field).unwrap_or(u64::MAX);
    error!(
        "l2 state: cr0={:#x} cr3={:#x} cr4={:#x} efer={:#x} cs={:#x} cs_base={:#x} idt={:#x}",
        field(Field::CR0),
        field(Field::CR3),
        field(Field::CR4),
        field(Field::IA32_EFER),
        field(Field::CS_SELECTOR),
        field(Field::CS_BASE),
        field(Field::IDTR_BASE)
    );
}

/// What the host has notified of.
fn say_events() {
    use counters::{
        EVENTS, EVENTS_IN_VAIN, QUOTE_POLLS, QUOTES_ASKED, QUOTES_AT_ONCE, QUOTES_CROWDED,
        QUOTES_FAILED, QUOTES_GIVEN, QUOTES_MISSED, QUOTES_NONSENSE, QUOTES_NOTIFIED, QUOTES_STRAY,
        QUOTES_TIMED_OUT,
    };
    if EVENTS.get() != 0 || QUOTES_ASKED.get() != 0 {
        info!("events: notifications={} in_vain={}", EVENTS.get(), EVENTS_IN_VAIN.get());
    }
    if QUOTES_ASKED.get() != 0 {
        info!(
            "quotes: asked={} given={} notified={} at_once={} polls={} missed={} timed_out={} \
             stray={} nonsense={} failed={} crowded={}",
            QUOTES_ASKED.get(),
            QUOTES_GIVEN.get(),
            QUOTES_NOTIFIED.get(),
            QUOTES_AT_ONCE.get(),
            QUOTE_POLLS.get(),
            QUOTES_MISSED.get(),
            QUOTES_TIMED_OUT.get(),
            QUOTES_STRAY.get(),
            QUOTES_NONSENSE.get(),
            QUOTES_FAILED.get(),
            QUOTES_CROWDED.get()
        );
    }
}

/// What came by the host's messages.
fn say_proxied() {
    use counters::{
        EOMS, PROXIED, PROXY_FAULTS, PROXY_MESSAGES, RETARGETS, RETARGETS_REFUSED, SYNIC_INTERRUPTS,
    };
    if synic::is_hyper_v() {
        info!(
            "proxy: interrupts={} messages={} vectors={} faults={} eoms={} retargets={} \
             retargets_refused={}",
            SYNIC_INTERRUPTS.get(),
            PROXY_MESSAGES.get(),
            PROXIED.get(),
            PROXY_FAULTS.get(),
            EOMS.get(),
            RETARGETS.get(),
            RETARGETS_REFUSED.get()
        );
    }
}

/// What the host has raised and L2 had not configured, by vector: as posted interrupts of L1, and as
/// interrupts asked for by messages, on all CPUs together.
fn say_rejected() {
    let cpus = 0..paravisor::width::index(vm().cpus.into());
    let posted = |vector: u8| match (vectors::RELAY.slot(vector), vector) {
        (Some(slot), _) => {
            cpus.clone().map(|cpu| u64::from(cpus::relay_block(cpu).spurious(slot))).sum()
        }
        (None, vectors::SPURIOUS) => counters::SPURIOUS_INTERRUPTS.get(),
        (None, _) => counters::UNEXPECTED_OF_VECTOR[usize::from(vector)].get(),
    };
    let proxied = |vector: u8| match L2Vector::new(vector) {
        Some(vector) => {
            cpus.clone().map(|cpu| u64::from(cpus::relay_block(cpu).filtered(vector))).sum()
        }
        None => counters::PROXY_LOW[usize::from(vector & 15)].get(),
    };
    for Run { first, last, count } in tally::runs(posted) {
        info!("rejected: path=posted vectors={first}-{last} count={count}");
    }
    for Run { first, last, count } in tally::runs(proxied) {
        info!("rejected: path=proxied vectors={first}-{last} count={count}");
    }
}

/// What was counted, once.
fn say_figures() {
    if ENDED.swap(true, Ordering::Relaxed) {
        return;
    }
    devices::say_mappings();
    for cpu in 0..paravisor::width::index(vm().cpus.into()) {
        let f = cpus::relay_block(cpu).figures();
        info!(
            "relay: cpu={cpu} posted={} remote={} relayed={} merged={} spurious={} filtered={} \
             refused={} quarantined={}",
            f.posted,
            f.remote,
            f.relayed,
            f.merged,
            f.spurious,
            f.filtered,
            f.refused,
            f.quarantined
        );
    }
    sent::say(paravisor::width::index(vm().cpus.into()));
    say_events();
    say_proxied();
    vmbus::say();
    say_rejected();
    let shared = visibility::shared_pages();
    if shared != 0 {
        info!("memory: shared_pages={shared}");
    }
    for (reason, count) in counters::exits().filter(|(_, count)| *count != 0) {
        info!("exits: reason={reason} count={count}");
    }
    say_counts();
}

/// What was counted on its own.
fn say_counts() {
    let counted: &[(&str, &Counter)] = &[
        ("virtualization_exceptions", &counters::VIRTUALIZATION_EXCEPTIONS),
        ("unexpected_interrupts", &counters::UNEXPECTED_INTERRUPTS),
        ("spurious_interrupts", &counters::SPURIOUS_INTERRUPTS),
        ("nmis", &counters::NMIS),
        ("unknown_exits", &counters::UNKNOWN_EXITS),
        ("misled_starts", &counters::MISLED_STARTS),
        ("open_bus", &counters::OPEN_BUS),
        ("refused", &counters::REFUSED),
        ("removed", &counters::REMOVED),
        ("teardowns", &counters::TEARDOWNS),
        ("teardown_cpus", &counters::TEARDOWN_CPUS),
        ("teardown_kicks", &counters::TEARDOWN_KICKS),
        ("teardowns_silent", &counters::TEARDOWNS_SILENT),
        ("host_refusals", &counters::HOST_REFUSALS),
        ("crashes", &counters::CRASHES),
        ("shared_touched", &counters::SHARED_TOUCHED),
        ("vmbus_stray_messages", &counters::VMBUS_STRAY_MESSAGES),
        ("dropped_events", &counters::DROPPED_EVENTS),
    ];
    io_apic::say_lines();
    let nonsense = io_apic::nonsense();
    if nonsense != 0 {
        info!("count: io_apic_nonsense={nonsense}");
    }
    for (name, counter) in counted.iter().filter(|(_, counter)| counter.get() != 0) {
        info!("count: {name}={}", counter.get());
    }
    let unknown_msrs = counters::UNKNOWN_MSRS.accesses();
    if unknown_msrs != 0 {
        info!("count: unknown_msrs={unknown_msrs}");
    }
}
