// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupt by which the host says that it has finished something.
//!
//! Each CPU asks for it itself, since it comes to the CPU that asked, and only where the host says that it
//! has the service. Its vector is the same on all CPUs and never used for anything else: what was asked
//! for cannot be taken back. If one CPU is refused, none relies on the service, and who refused is said.
//!
//! The interrupt is a hint to look, since the host can raise it at will. Who wants to look registers a
//! callback, which runs in the handler, on whichever CPU was interrupted, and says whether it found
//! anything. It must not take a lock, wait, or log.
//!
//! # Orderings
//! Relaxed: what the host offers is a hint. The rest is `event_notify`'s.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<SetupEventNotifyInterrupt>`", "`TDG.VP.VMCALL<GetTdVmCallInfo>`".
#![expect(unsafe_code, reason = "a callback is registered as the address of a function")]

use core::{
    num::NonZeroUsize,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

use event_notify::{Callbacks, Full, Registration, SetUp, Standing};
use log::{info, warn};
use tdcall::{Instruction, tdvmcall};

use super::{
    counters::{EVENTS, EVENTS_IN_VAIN},
    vectors,
};
use crate::{
    apic,
    cpus::{self, MAX_VCPUS},
};

const VECTOR: Option<tdvmcall::EventNotifyVector> =
    tdvmcall::EventNotifyVector::new(vectors::EVENT_NOTIFY);

/// Most callbacks at a time.
const CALLBACKS: usize = 4;

static OFFERED: AtomicBool = AtomicBool::new(false);
static SET_UP: SetUp = SetUp::new();
static REGISTERED: Callbacks<MAX_VCPUS, CALLBACKS> = Callbacks::new();

/// What looks: it says whether there was anything new.
pub(crate) type Callback = fn() -> bool;

/// Asks the host whether it has the service. Context: the first CPU, before any other comes.
pub(crate) fn ask() {
    match tdvmcall::has_setup_event_notify_interrupt(&Instruction) {
        Ok(true) => OFFERED.store(true, Ordering::Relaxed),
        Ok(false) => info!("event notification: not offered"),
        Err(error) => info!("event notification: the host lists no services: {error}"),
    }
}

/// Asks the host to notify this CPU, whose index is `cpu`, if it has the service.
pub(crate) fn set_up(cpu: usize) {
    let Some(vector) = VECTOR.filter(|_| OFFERED.load(Ordering::Relaxed)) else { return };
    match tdvmcall::setup_event_notify_interrupt(&Instruction, vector) {
        Ok(()) => {
            SET_UP.succeeded(cpu);
            if standing() == Standing::Ready {
                info!("event notification: vector={} cpus={}", vector.get(), cpus::count());
            }
        }
        Err(error) => {
            let (_, stepped_back) = SET_UP.failed();
            warn!("event notification: cpu={cpu}: {error}; stepped_back={stepped_back}");
        }
    }
}

/// Whether the host notifies all CPUs.
pub(crate) fn standing() -> Standing {
    if OFFERED.load(Ordering::Relaxed) {
        SET_UP.standing(paravisor::width::index(cpus::count().into()))
    } else {
        Standing::Withdrawn
    }
}

/// Has `callback` run on each notification from now on.
pub(crate) fn register(callback: Callback) -> Result<Registration, Full> {
    let address = (callback as *const ()).expose_provenance();
    NonZeroUsize::new(address).ok_or(Full).and_then(|word| REGISTERED.register(word))
}

/// Has the callback never run again: none does after this has returned. Context: main context.
pub(crate) fn unregister(registration: Registration) {
    // Main context is no callback, so it is not refused.
    let _ = REGISTERED.unregister(registration, cpus::current(), core::hint::spin_loop);
}

/// The host notifies this CPU. Context: interrupt handler.
pub(super) fn handle() {
    EVENTS.add();
    let mut found = false;
    REGISTERED.notify(cpus::current(), |word| {
        let address = ptr::with_exposed_provenance::<()>(word.get());
        // SAFETY: Only `register` makes words, each of them of a `Callback`.
        let callback = unsafe { core::mem::transmute::<*const (), Callback>(address) };
        found |= callback();
    });
    if !found {
        EVENTS_IN_VAIN.add();
    }
    apic::end_of_interrupt();
}
