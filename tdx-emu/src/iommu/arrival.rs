// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens when a device interrupts L0, and how a posted interrupt is notified.
//!
//! A handler runs in an interrupt window of the CPU that it arrives at, which normally is the one
//! that runs the virtual CPU. It takes no lock.
//!
//! # Orderings
//! A handler counts that it begins before it looks a route up, and that it ends after it did what the route
//! says. Whoever changed a route looks at the counts afterwards; a full fence stands on both sides between
//! the two. So either the handler sees the new route, or `settle` sees the handler and waits for its end.
#![expect(unsafe_code, reason = "descriptors are named by physical address")]

use core::sync::atomic::{
    AtomicU8, AtomicU64,
    Ordering::{Relaxed, SeqCst},
    fence,
};

use crossbeam_utils::CachePadded;
use spin::Once;
use tdcall::PostedInterruptDescriptor;

use super::{
    posting::{self, Notification},
    remapping::{Entry, FIRST_VECTOR, LAST_VECTOR, Table, Way},
};
use crate::{
    machine::{
        cpus::{self, PerCpu},
        interrupt, lapic, memory,
    },
    module,
    observe::{self, Source},
};

/// Notification vector of every virtual CPU.
pub(crate) const NOTIFICATION_VECTOR: u8 = 0xf2;

static TABLE: Table = Table::new();
static PROXY: Once<fn(usize, u8) -> Called> = Once::new();
/// Begins and ends of handlers, by CPU: odd while one is at work.
static AT_WORK: PerCpu<AtomicU64> =
    PerCpu::new([const { CachePadded::new(AtomicU64::new(0)) }; cpus::MAX_CPUS]);
static NEXT_VECTOR: AtomicU8 = AtomicU8::new(FIRST_VECTOR);

/// Starts to take interrupts of devices and notifications.
pub(crate) fn enable() {
    for vector in FIRST_VECTOR..=LAST_VECTOR {
        interrupt::set_handler(vector, device_interrupt);
    }
    interrupt::set_handler(NOTIFICATION_VECTOR, |_| module::note_notification(cpus::current()));
}

/// Gives a source of interrupts its physical vector, for the rest of the run.
pub(crate) fn source(source: Source) -> Option<u8> {
    let next = |vector| (vector <= LAST_VECTOR).then_some(vector + 1);
    let vector = NEXT_VECTOR.fetch_update(Relaxed, Relaxed, next).ok()?;
    observe::source(vector, source);
    Some(vector)
}

/// Whether the host made a virtual CPU look at what waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// It did.
    Yes,
    /// It had done so already.
    No,
}

/// Has messages that are not posted go to `proxy`, with virtual CPU and vector. It takes no lock.
pub(crate) fn set_proxy(proxy: fn(usize, u8) -> Called) {
    PROXY.call_once(|| proxy);
}

/// Routes a physical vector, or routes it anew.
pub(crate) fn remap(physical: u8, entry: Entry) {
    TABLE.set(physical, entry);
}

/// Waits until no handler goes by a route that was changed before. Not to be called by a handler.
pub(crate) fn settle() {
    fence(SeqCst);
    for cpu in cpus::all().filter(|cpu| *cpu != cpus::current()) {
        let count = || AT_WORK.of(cpu).load(SeqCst);
        let seen = count();
        while seen & 1 == 1 && count() == seen {
            core::hint::spin_loop();
        }
    }
}

/// Posts an interrupt that the host itself raises.
pub(crate) fn deliver(descriptor: &PostedInterruptDescriptor, cpu: usize, vector: u8) {
    observe::posted(cpu, vector, posting::request(descriptor, vector));
    notify(posting::outstand(descriptor));
}

/// Lets the device ring whose messages become `vector` of virtual CPU `cpu`. Returns whether there is one.
pub(crate) fn ring(cpu: usize, vector: u8) -> bool {
    let leads_there = |physical: &u8| {
        let entry = TABLE.get(*physical);
        entry.is_some_and(|entry| {
            entry.way == Way::Posted && usize::from(entry.cpu) == cpu && entry.vector == vector
        })
    };
    let physical = (FIRST_VECTOR..=LAST_VECTOR).find(leads_there);
    physical.map(device_interrupt).is_some()
}

fn device_interrupt(physical: u8) {
    let at_work = AT_WORK.mine();
    at_work.fetch_add(1, SeqCst);
    fence(SeqCst);
    follow_route(physical);
    at_work.fetch_add(1, SeqCst);
}

fn follow_route(physical: u8) {
    let Some(entry) = TABLE.get(physical) else {
        log::warn!("blocked message: vector={physical:#x}");
        return;
    };
    if entry.way == Way::Proxied {
        let (cpu, vector) = (usize::from(entry.cpu), entry.vector);
        // Counted before anybody can pass it on.
        observe::proxied(physical, cpu, vector);
        if PROXY.get().map(|proxy| proxy(cpu, vector)) == Some(Called::Yes) {
            observe::proxy_called(physical, cpu, vector);
        }
        return;
    }
    let descriptor = memory::at::<PostedInterruptDescriptor>(entry.descriptor);
    // SAFETY: entries name descriptors that the host allocated for a virtual CPU and never frees;
    // all fields are atomics.
    let descriptor = unsafe { &*descriptor };
    let cpu = usize::from(entry.cpu);
    observe::device_message(physical, cpu, entry.vector);
    deliver(descriptor, cpu, entry.vector);
}

/// Sends a notification. The CPU itself needs one too: it may be about to enter the TD, and takes
/// it in the same interrupt window or right at the entry.
fn notify(notification: Option<Notification>) {
    let Some(Notification { vector, destination }) = notification else { return };
    let cpu = (0..cpus::count()).find(|&cpu| u32::from(cpus::apic_id(cpu)) == destination);
    match cpu {
        Some(cpu) if cpu == cpus::current() => lapic::self_ipi(vector),
        Some(cpu) => lapic::send_ipi(cpu, vector),
        None => log::warn!("notification to nobody: apic_id={destination}"),
    }
}
