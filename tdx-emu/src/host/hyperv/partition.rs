// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD as a partition: what its virtual CPUs ask for, and what waits for them.
//!
//! Locks are taken in this order: VMBus, a controller, what `Guest` takes.
//!
//! # Orderings
//! Relaxed: figures, and a hint that only makes somebody look once more or once less; it is set by whoever
//! holds the lock of VMBus, and each virtual CPU looks again at its next exit.

#[cfg(target_os = "none")]
use alloc::vec::Vec;
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use spin::Mutex;

use super::{
    Options,
    guest::Guest,
    hypercall::{
        Control, GET_VP_REGISTERS, Hypercall, POST_MESSAGE, RETARGET_DEVICE_INTERRUPT, Repeats,
        SET_VP_REGISTERS, SIGNAL_EVENT,
    },
    retarget::{self, Redirection},
    status::HvStatus,
    synic::{Added, Delivery, ProxySet, Synic},
    vmbus::{Outgoing, Vmbus},
    vp_registers::{self, PROXY_INTERRUPT_REDIRECT, Register},
};

const GUEST_OS_ID: u32 = 0x4000_0000;
const VP_INDEX: u32 = 0x4000_0002;

/// What the host keeps for a virtual CPU.
#[derive(Debug)]
struct Vp {
    synic: Mutex<Synic>,
    proxied: ProxySet,
}

/// The partition.
#[derive(Debug)]
pub(crate) struct Partition<G> {
    options: Options,
    os_id: AtomicU64,
    vps: Vec<Vp>,
    vmbus: Mutex<Vmbus<G>>,
    /// Whether VMBus wants to be looked at now and then, and by which virtual CPU.
    restless: AtomicBool,
    watcher: AtomicUsize,
    figures: Figures,
}

/// What happened.
#[derive(Debug, Default)]
struct Figures {
    hypercalls: AtomicU64,
    refused: AtomicU64,
    proxied: AtomicU64,
    merged: AtomicU64,
    messages: AtomicU64,
}

impl<G: Guest> Partition<G> {
    /// A partition of so many virtual CPUs that has not said anything.
    pub(crate) fn new(options: Options, cpus: usize) -> Self {
        let vp = |cpu| Vp { synic: Mutex::new(Synic::new(cpu)), proxied: ProxySet::new() };
        Self {
            options,
            os_id: AtomicU64::new(0),
            vps: (0..cpus).map(vp).collect(),
            vmbus: Mutex::new(Vmbus::new(options.vmbus)),
            restless: AtomicBool::new(false),
            watcher: AtomicUsize::new(0),
            figures: Figures::default(),
        }
    }

    /// Answers a hypercall with its result value.
    pub(crate) fn hypercall(&self, guest: G, cpu: usize, r10: u64, input: u64, output: u64) -> u64 {
        let call = Hypercall { control: Control::from_bits(r10), input, output };
        self.figures.hypercalls.fetch_add(1, Relaxed);
        let result = self.execute(guest, cpu, &call);
        if result & 0xffff != 0 {
            self.figures.refused.fetch_add(1, Relaxed);
            log::debug!("hypercall refused: cpu={cpu} input={r10:#x} result={result:#x}");
        }
        self.deliver(guest);
        result
    }

    /// Reads an MSR; `None` if the partition has no such one.
    pub(crate) fn read_msr(&self, cpu: usize, msr: u32) -> Option<u64> {
        match msr {
            GUEST_OS_ID => Some(self.os_id.load(Relaxed)),
            VP_INDEX => u64::try_from(cpu).ok(),
            _ => self.vps.get(cpu)?.synic.lock().read(msr),
        }
    }

    /// Writes an MSR; `None` if the partition has no such one, or it cannot have the value.
    pub(crate) fn write_msr(&self, guest: G, cpu: usize, msr: u32, value: u64) -> Option<()> {
        if msr == GUEST_OS_ID {
            self.os_id.store(value, Relaxed);
            return Some(());
        }
        let vp = self.vps.get(cpu)?;
        vp.synic.lock().write(guest, &vp.proxied, msr, value)?;
        self.deliver(guest);
        Some(())
    }

    /// A device sent a message that is not posted. Context: an interrupt handler; it takes no lock.
    pub(crate) fn proxy(&self, cpu: usize, vector: u8) -> Added {
        let Some(vp) = self.vps.get(cpu) else { return Added::Merged };
        self.figures.proxied.fetch_add(1, Relaxed);
        let added = vp.proxied.add(vector);
        self.figures.merged.fetch_add(u64::from(added == Added::Merged), Relaxed);
        added
    }

    /// Tells which interrupts of which virtual CPUs L1 was asked to pass on and has not taken.
    pub(crate) fn each_untaken(&self, guest: G, mut tell: impl FnMut(usize, u8)) {
        for (cpu, vp) in self.vps.iter().enumerate() {
            let synic = vp.synic.lock();
            (0..=u8::MAX)
                .filter(|vector| synic.asks_for(guest, &vp.proxied, *vector))
                .for_each(|vector| tell(cpu, vector));
        }
    }

    /// Does what is due for a virtual CPU. To be called before each entry, and while it halts.
    pub(crate) fn poll(&self, guest: G, cpu: usize) {
        if self.restless.load(Relaxed) {
            let mut vmbus = self.vmbus.lock();
            vmbus.poll(guest);
            self.note(&vmbus, cpu);
            drop(vmbus);
            self.deliver(guest);
        }
        if let Some(vp) = self.vps.get(cpu).filter(|vp| !vp.proxied.is_empty()) {
            vp.synic.lock().pass_on(guest, &vp.proxied);
        }
    }

    /// Whether this virtual CPU has to be polled again soon, even if nothing happens: it is the one that made VMBus
    /// restless.
    pub(crate) fn watches(&self, cpu: usize) -> bool {
        self.restless.load(Relaxed) && self.watcher.load(Relaxed) == cpu
    }

    /// Notes whether VMBus is restless after something that a virtual CPU did to it.
    fn note(&self, vmbus: &Vmbus<G>, cpu: usize) {
        let restless = vmbus.wants_poll();
        if restless && !self.restless.load(Relaxed) {
            self.watcher.store(cpu, Relaxed);
        }
        self.restless.store(restless, Relaxed);
    }

    fn execute(&self, guest: G, cpu: usize, call: &Hypercall) -> u64 {
        if self.os_id.load(Relaxed) == 0 {
            return HvStatus::ACCESS_DENIED.result(0);
        }
        let repeats = match call.control.code() {
            GET_VP_REGISTERS | SET_VP_REGISTERS => Repeats::Yes,
            POST_MESSAGE | SIGNAL_EVENT | RETARGET_DEVICE_INTERRUPT => Repeats::No,
            _ => return HvStatus::INVALID_HYPERCALL_CODE.result(0),
        };
        if let Err(status) = call.check(repeats) {
            return status.result(0);
        }
        let status = match call.control.code() {
            GET_VP_REGISTERS => {
                return vp_registers::get(guest, cpu, call, |name| self.register(cpu, name));
            }
            SET_VP_REGISTERS => {
                return vp_registers::set(guest, cpu, call, |name, value| match name {
                    Register::Msr(msr) if msr != VP_INDEX => self.write_msr(guest, cpu, msr, value),
                    _ => None,
                });
            }
            POST_MESSAGE => self.post_message(guest, cpu, call),
            SIGNAL_EVENT => self.signal_event(guest, cpu, call),
            _ => retarget::retarget(guest, call, self.options.redirection),
        };
        HvStatus::from(status).result(0)
    }

    fn register(&self, cpu: usize, name: Register) -> Option<u64> {
        match name {
            Register::Msr(msr) => self.read_msr(cpu, msr),
            Register::VsmCapabilities => Some(match self.options.redirection {
                Redirection::Offered => PROXY_INTERRUPT_REDIRECT,
                Redirection::Absent => 0,
            }),
        }
    }

    /// The message lies behind connection, type and length, and is copied before it is looked at.
    fn post_message(&self, guest: G, cpu: usize, call: &Hypercall) -> Result<(), HvStatus> {
        if call.control.fast() {
            return Err(HvStatus::INVALID_HYPERCALL_INPUT);
        }
        let input = call.read::<256>(guest, 0)?;
        let ([connection, reserved, kind, length, ..], _) = input.as_chunks::<4>() else {
            return Err(HvStatus::INVALID_HYPERCALL_INPUT);
        };
        let [connection, reserved, kind, length] =
            [connection, reserved, kind, length].map(|word| u32::from_le_bytes(*word));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let payload = input.get(16..).and_then(|payload| payload.get(..length));
        let reserved_type = kind == 0 || kind & 1 << 31 != 0;
        let Some(payload) = payload.filter(|_| reserved == 0 && !reserved_type) else {
            return Err(HvStatus::INVALID_PARAMETER);
        };
        let mut vmbus = self.vmbus.lock();
        let posted = vmbus.post(guest, connection, payload);
        self.note(&vmbus, cpu);
        posted
    }

    fn signal_event(&self, guest: G, cpu: usize, call: &Hypercall) -> Result<(), HvStatus> {
        let input =
            if call.control.fast() { call.input } else { u64::from_le_bytes(call.read(guest, 0)?) };
        // Each connection has one flag.
        let connection = u32::try_from(input).map_err(|_| HvStatus::INVALID_PARAMETER)?;
        let mut vmbus = self.vmbus.lock();
        let signalled = vmbus.signal(connection);
        self.note(&vmbus, cpu);
        signalled
    }

    /// Gives what VMBus has for virtual CPUs to their controllers, as far as there is room.
    fn deliver(&self, guest: G) {
        self.vmbus.lock().deliver(|outgoing| match outgoing {
            Outgoing::Message { cpu, sint, message } => {
                let Some(vp) = self.vps.get(cpu) else { return true };
                let sent = vp.synic.lock().send(guest, sint, message) == Delivery::Accepted;
                self.figures.messages.fetch_add(u64::from(sent), Relaxed);
                sent
            }
            Outgoing::Signal { cpu, sint, flag } => {
                if let Some(vp) = self.vps.get(cpu) {
                    vp.synic.lock().signal(guest, sint, flag);
                }
                true
            }
        });
    }

    /// How much waits for virtual CPUs that do not take it.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.vmbus.lock().waiting()
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        let Figures { hypercalls, proxied, .. } = &self.figures;
        hypercalls.load(Relaxed) == 0 && proxied.load(Relaxed) == 0
    }
}

impl<G: Guest> fmt::Display for Partition<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { hypercalls, refused, proxied, merged, messages } = &self.figures;
        let [hypercalls, refused, proxied, merged, messages] =
            [hypercalls, refused, proxied, merged, messages].map(|figure| figure.load(Relaxed));
        let bus = self.vmbus.lock().figures();
        write!(
            f,
            "hypercalls={hypercalls} refused={refused} proxied={proxied} merged={merged} \
             answers={messages} messages={} nonsense={} signals={} triggers={} packets={} bytes={} \
             interrupts={} broken={}",
            bus.messages,
            bus.nonsense,
            bus.signals,
            bus.triggers,
            bus.packets,
            bus.bytes,
            bus.interrupts,
            bus.broken
        )
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod nonsense;
