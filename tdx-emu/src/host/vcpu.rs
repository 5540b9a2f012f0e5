// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual CPU as the host knows it. It runs on the physical CPU of the same number.
//!
//! # Orderings
//! `Vcpu::enter` counts an entry before the virtual CPU runs, and whoever changed a translation
//! reads the count afterwards, both sequentially consistent: either the other side sees the entry and
//! waits for it to end, or the entry sees the changed translation.

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use spin::Mutex;
use tdcall::{PostedInterruptDescriptor, md::tdvps};

use super::{apic::Apic, nmi::Nmis, timer::Timer};
use crate::{
    iommu,
    machine::{cpus, interrupt, lapic},
    module,
};

/// Vector that makes a CPU leave the TD.
const KICK_VECTOR: u8 = 0xf1;

/// A virtual CPU.
#[derive(Debug)]
pub(crate) struct Vcpu {
    /// Number in the TD, and of the physical CPU.
    pub(crate) index: usize,
    /// The page that names it to the module.
    pub(crate) tdvpr: u64,
    /// Where interrupts for it are posted.
    pub(crate) descriptor: &'static PostedInterruptDescriptor,
    /// Registers of its local APIC.
    pub(crate) apic: Mutex<Apic>,
    /// Its timers.
    pub(crate) timer: Timer,
    /// Its NMIs.
    pub(crate) nmis: Nmis,
    /// Odd while it is in the TD; grows with each entry and exit.
    crossings: AtomicU64,
}

impl Vcpu {
    /// A virtual CPU that was initialized in the module.
    pub(crate) fn new(
        index: usize,
        tdvpr: u64,
        descriptor: &'static PostedInterruptDescriptor,
        apic: Apic,
    ) -> Self {
        let (timer, crossings) = (Timer::new(), AtomicU64::new(0));
        let (apic, nmis) = (Mutex::new(apic), Nmis::new());
        Self { index, tdvpr, descriptor, apic, timer, nmis, crossings }
    }

    /// Posts an interrupt of the host's.
    pub(crate) fn post(&self, vector: u8) {
        iommu::deliver(self.descriptor, self.index, vector);
    }

    /// Sets an NMI pending, and wakes the virtual CPU.
    pub(crate) fn post_nmi(&self) {
        self.nmis.ask();
        if self.index != cpus::current() {
            lapic::send_ipi(self.index, KICK_VECTOR);
        }
    }

    /// Has the host look at the virtual CPU, in the TD or halted. Context: anywhere.
    pub(crate) fn summon(&self) {
        if self.index == cpus::current() {
            lapic::self_ipi(KICK_VECTOR);
        } else {
            lapic::send_ipi(self.index, KICK_VECTOR);
        }
    }

    /// Whether an interrupt was posted that the module has not seen.
    pub(crate) fn has_posted(&self) -> bool {
        self.descriptor.control().outstanding()
            || self.descriptor.pir.iter().any(|requests| requests.load(SeqCst) != 0)
    }

    /// To be called right before each entry. The processor looks at the descriptor only when the
    /// notification arrives, so one that the host took itself is repeated.
    pub(crate) fn enter(&self) {
        self.crossings.fetch_add(1, SeqCst);
        if self.nmis.take() {
            self.give_nmi();
        }
        if self.descriptor.control().outstanding() {
            if self.has_timer_interrupt() {
                self.timer.recognised();
            }
            lapic::self_ipi(self.descriptor.control().notification_vector());
        }
    }

    /// Gives an NMI to the module, which has one bit for it.
    fn give_nmi(&self) {
        match module::tdh_vp_wr(self.tdvpr, tdvps::PEND_NMI.into_bits(), 1, 0xff) {
            Ok(0) => {}
            Ok(_) => self.nmis.merged(),
            Err(status) => log::error!("nmi not given: cpu={} {status}", self.index),
        }
    }

    /// Whether the interrupt of the timer is posted. The processor takes it from there at the entry.
    pub(crate) fn has_timer_interrupt(&self) -> bool {
        let vector = self.apic.lock().timer_vector();
        vector.is_some_and(|vector| self.descriptor.is_set(vector))
    }

    /// To be called right after each exit.
    pub(crate) fn leave(&self) {
        self.crossings.fetch_add(1, SeqCst);
    }

    /// An interrupt of the host's was taken on the CPU of this virtual CPU. If it is in the TD, that
    /// is an exit.
    pub(crate) fn interrupted(&self, vector: u8) {
        if self.is_inside() {
            module::note_external_interrupt(self.index, vector);
        }
    }

    /// Makes the virtual CPU leave the TD if it is inside.
    pub(crate) fn kick(&self) {
        if self.is_inside() && self.index != cpus::current() {
            lapic::send_ipi(self.index, KICK_VECTOR);
        }
    }

    /// Where its guest stands, for messages.
    pub(crate) fn rip(&self) -> u64 {
        module::debug_rip(self.tdvpr)
    }

    /// How often it crossed the border of the TD.
    pub(crate) fn crossings(&self) -> u64 {
        self.crossings.load(SeqCst)
    }

    /// Whether it has been in the TD without a break since `crossings`.
    pub(crate) fn is_still_inside(&self, crossings: u64) -> bool {
        crossings & 1 == 1 && self.crossings() == crossings
    }

    fn is_inside(&self) -> bool {
        self.crossings() & 1 == 1
    }
}

/// Makes [`Vcpu::kick`] work.
pub(crate) fn enable_kicks(handler: fn(u8)) {
    interrupt::set_handler(KICK_VECTOR, handler);
}
