// SPDX-License-Identifier: MIT OR Apache-2.0
//! VMBus, driven from the loop around L2: what the SynIC's vector hints at is looked at here.
//!
//! The first CPU makes contact and gets the messages and the flags of channels. A message for which the host has no
//! room is tried again when this CPU's timer says so, each time after twice as long.
//!
//! # Orderings
//! Relaxed: a deadline is one CPU's own.
//!
//! Spec: VMBUS "Channel messages"; TLFS "SynIC Message Page", "SynIC Event Flags Page".

use core::sync::atomic::{AtomicU64, Ordering};

use log::{info, warn};
use paravisor::{
    hyperv::status::HvStatus,
    hyperv_host::{
        bus::{self, Bus, Rings},
        echo,
    },
    width,
};
use spin::Mutex;
use vmbus::{
    client::{MonitorPages, Signal},
    message::Outgoing,
    monitor::MonitorPage,
    synic::{Eom, MessageType, SintIndex},
};

use super::{events, fields::Refused, vcpu::Vcpu, vm::vm};
use crate::{
    hypercall,
    interrupt::{
        counters::{HOST_REFUSALS, VMBUS_SIGNALS, VMBUS_STRAY_MESSAGES},
        synic,
    },
    memory::window::{Window, Words},
};

/// The source of VMBus.
const SINT: SintIndex = SintIndex::REDIRECTED_VMBUS;
/// Most messages that are taken at a time.
const LIMIT: u32 = 16;
/// The CPU that makes contact.
const CPU: usize = 0;

const PAGE: usize = 4096;
/// Pages of one ring: one to control it, the others for data.
const RING: usize = 5;
/// Most pieces of memory for rings; none is given back, since the host could still write to it.
const MOST_RINGS: u32 = 8;

/// Milliseconds after which the host may have room for a message, at first and at most.
const PATIENCE: core::ops::RangeInclusive<u64> = 1..=1024;
const NEVER: u64 = u64::MAX;

static STATE: Mutex<Option<State>> = Mutex::new(None);
static RETRY: AtomicU64 = AtomicU64::new(NEVER);

struct State {
    bus: Bus<Words>,
    host: Host,
    /// Milliseconds until the next try.
    patience: u64,
}

/// The way to the host.
struct Host {
    /// What L1 signals monitored channels by.
    monitor: Option<MonitorPage<Words>>,
    rings: u32,
}

/// Makes contact, if the host has a VMBus. Context: the first CPU's loop, before L2 runs.
pub(super) fn begin(vcpu: &Vcpu) -> Result<(), Refused> {
    if vcpu.index != CPU || !synic::is_on(CPU) {
        return Ok(());
    }
    let (pages, monitor) = match Window::make(2 * PAGE, vm().shared_bit) {
        Ok(window) => {
            let address = |offset| window.gpa(offset) | vm().shared_bit;
            let pages =
                MonitorPages { parent_to_child: address(0), child_to_parent: address(PAGE) };
            (Some(pages), window.words(PAGE, PAGE).and_then(MonitorPage::new))
        }
        Err(error) => {
            warn!("vmbus: no monitor pages: {error}");
            (None, None)
        }
    };
    let mut host = Host { monitor, rings: 0 };
    let mut bus = Bus::new(bus::config(pages), vm().echo);
    bus.begin(&mut host);
    *STATE.lock() = Some(State { bus, host, patience: *PATIENCE.start() });
    arm(vcpu)
}

/// Takes what the host has left for this CPU. Context: main context, IF=0.
pub(super) fn serve(vcpu: &Vcpu) -> Result<(), Refused> {
    let mut locked = STATE.lock();
    let Some(state) = locked.as_mut() else { return Ok(()) };
    if take_messages(state) == echo::Left::Turn || take_flags(state) == echo::Left::Turn {
        events::synic_hint();
    }
    drop(locked);
    arm(vcpu)
}

/// When this CPU has to try a message again, if it has one.
pub(super) fn deadline(index: usize) -> Option<u64> {
    let deadline = RETRY.load(Ordering::Relaxed);
    (index == CPU && deadline != NEVER).then_some(deadline)
}

/// Time may be up. To be called when [`deadline`] has passed.
pub(super) fn retry() {
    if let Some(State { bus, host, patience }) = STATE.lock().as_mut() {
        bus.retry(host);
        *patience =
            if bus.waits() { (2 * *patience).min(*PATIENCE.end()) } else { *PATIENCE.start() };
        set_deadline(bus, *patience);
    }
}

/// What happened, in one line.
pub(super) fn say() {
    let Some(figures) = STATE.lock().as_ref().map(|state| state.bus.figures()) else { return };
    info!(
        "vmbus: messages={} faults={} channels={} opened={} broken={} stray_flags={} signals={}",
        figures.messages,
        figures.faults,
        figures.channels,
        figures.opened,
        figures.broken,
        figures.stray_flags,
        VMBUS_SIGNALS.get()
    );
    let echo::Figures { sent, answered, wrong } = figures.echo;
    if sent != 0 || wrong != 0 {
        info!("echo: sent={sent} answered={answered} wrong={wrong} bytes={}", echo::PAYLOAD);
    }
}

/// Sees to the next try, if one is needed.
fn arm(vcpu: &Vcpu) -> Result<(), Refused> {
    let mut waits = false;
    if let Some(State { bus, patience, .. }) = STATE.lock().as_ref() {
        waits = bus.waits();
        if !waits || RETRY.load(Ordering::Relaxed) == NEVER {
            set_deadline(bus, *patience);
        }
    }
    if waits && vcpu.index == CPU { vcpu.arm_timer() } else { Ok(()) }
}

fn set_deadline(bus: &Bus<Words>, patience: u64) {
    let next = || cpu::tsc().saturating_add(patience * vm().millisecond);
    RETRY.store(if bus.waits() { next() } else { NEVER }, Ordering::Relaxed);
}

fn take_messages(State { bus, host, .. }: &mut State) -> echo::Left {
    let Some(page) = synic::messages() else { return echo::Left::Nothing };
    for _ in 0..LIMIT {
        let Some(taken) = page.take(SINT) else { return echo::Left::Nothing };
        match taken.message {
            Ok(message) if message.message_type == MessageType::VMBUS => {
                bus.message(host, message.payload());
            }
            _ => _ = VMBUS_STRAY_MESSAGES.add(),
        }
        if taken.eom == Eom::Write {
            synic::end_of_message();
        }
    }
    echo::Left::Turn
}

fn take_flags(State { bus, host, .. }: &mut State) -> echo::Left {
    let Some(flags) = synic::event_flags() else { return echo::Left::Nothing };
    flags.take(SINT, |flag| {
        // What it leaves is seen to by the turn for all.
        let _ = bus.flag(host, flag);
    });
    bus.turn_all(host)
}

impl bus::Host<Words> for Host {
    fn post(&mut self, message: &Outgoing) -> HvStatus {
        hypercall::post_message(message)
    }

    fn signal(&mut self, signal: Signal) {
        VMBUS_SIGNALS.add();
        match signal {
            Signal::Monitor(id) => {
                if let Some(page) = &self.monitor {
                    // The host looks at the page in its own time, whatever the bit was before.
                    let _ = page.trigger(id);
                }
            }
            Signal::Event(_) => {
                let status = signal.input().map(hypercall::signal_event);
                if status != Some(HvStatus::SUCCESS) {
                    HOST_REFUSALS.add();
                }
            }
        }
    }

    fn rings(&mut self) -> Option<Rings<Words>> {
        if self.rings >= MOST_RINGS {
            return None;
        }
        let window = Window::make(2 * RING * PAGE, vm().shared_bit).ok()?;
        self.rings += 1;
        let first = (window.gpa(0) | vm().shared_bit) / width::wide(PAGE);
        Some(Rings {
            to_host: window.words(0, RING * PAGE)?,
            from_host: window.words(RING * PAGE, RING * PAGE)?,
            pages: (first..).take(2 * RING).collect(),
        })
    }
}
