// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a notification by the host may be about: a quote, or a device that was taken away; and what it may have
//! left for this CPU's SynIC.
//!
//! The host does not say which, and several come as one, so each is looked at. A quote's status is looked at
//! by the handler. Devices are asked for by calls to the host, which a handler does not make: it leaves a
//! flag, and the CPU that took the notification looks as soon as it is in its loop.
//!
//! # Orderings
//! The flag is set with Release and taken with Acquire, so that a look begins after the notification that
//! asked for it.

use core::sync::atomic::{AtomicBool, Ordering};

use ::event_notify::Registration;
use log::warn;
use paravisor::hyperv_host::proxy::Left;
use spin::Once;
use x86_64::instructions::interrupts;

use super::{devices, fields::Refused, quote, signals, vcpu::Vcpu, vmbus};
use crate::{
    cpus,
    interrupt::{event_notify, synic},
};

static LOOK: AtomicBool = AtomicBool::new(false);
/// Kept as long as L1 runs: L2 always has its devices.
static WATCHED: Once<Option<Registration>> = Once::new();

/// Has devices looked at when the host notifies, from now on.
pub(super) fn watch_devices() {
    if WATCHED.call_once(|| event_notify::register(hint).ok()).is_none() {
        warn!("devices that are taken away are not noticed");
    }
}

/// Something may have happened to a device. Context: interrupt handler.
fn hint() -> bool {
    LOOK.store(true, Ordering::Release);
    signals::tell_event(cpus::current());
    // Whether there is anything new is not known here.
    false
}

/// The host has left something else than proxied interrupts, or more of them. Context: interrupt handler.
pub(crate) fn synic_hint() {
    signals::tell_event(cpus::current());
}

/// Looks at what this CPU was told of. Context: IF=0 before and after.
pub(super) fn serve(vcpu: &Vcpu) -> Result<(), Refused> {
    quote::settle(vcpu);
    if synic::take_proxied() == Left::Perhaps {
        synic_hint();
    }
    if LOOK.swap(false, Ordering::Acquire) {
        // Who unmaps waits for slots to be left, and this CPU's own may have interrupts to take first.
        interrupts::enable();
        devices::forget_removed(vcpu);
        interrupts::disable();
    }
    vmbus::serve(vcpu)
}
