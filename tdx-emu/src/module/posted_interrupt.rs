// SPDX-License-Identifier: MIT OR Apache-2.0
//! Posted-interrupt processing: PIR → VIRR → RVI of L1.
//!
//! While L1 runs, the processor does this by itself when the notification vector arrives. While an
//! L2 VM runs, the vector makes it exit and the module does the same in software; then L1 gets to
//! run only if its priority allows the interrupt.
//!
//! Spec: SDM "Posted-Interrupt Processing"; TDX-TDP "Interrupt Handling".

use core::sync::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{AcqRel, Acquire, Release},
};

use super::vcpu::Vcpu;
use crate::{
    machine::cpus::{self, MAX_CPUS},
    observe,
    svm::{narrow::low_8, physical},
};

/// Offset of the outstanding-notification bit (byte 32, bit 0) in the descriptor.
const ON: u64 = 32;

/// Lowest vector that software processing lets raise RVI.
const LOWEST_FOR_L2: u8 = 31;

static NOTIFIED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];
static EXTERNAL: [AtomicU8; MAX_CPUS] = [const { AtomicU8::new(0) }; MAX_CPUS];

/// The notification vector was taken on `cpu`.
pub(crate) fn note_notification(cpu: usize) {
    NOTIFIED[cpu].store(true, Release);
}

/// A vector that belongs to the host was taken on `cpu`.
pub(crate) fn note_external_interrupt(cpu: usize, vector: u8) {
    EXTERNAL[cpu].store(vector, Release);
}

/// Whether the notification vector was taken on this CPU since the last call.
pub(crate) fn take_notification() -> bool {
    NOTIFIED[cpus::current()].swap(false, AcqRel)
}

/// The host's vector taken on this CPU since the last call, if any.
pub(crate) fn take_external_interrupt() -> Option<u8> {
    let vector = EXTERNAL[cpus::current()].swap(0, Acquire);
    (vector != 0).then_some(vector)
}

/// Moves what is posted into L1's virtual APIC.
pub(crate) fn process(vcpu: &mut Vcpu) {
    let cpu = cpus::current();
    observe::notification(cpu);
    let (Some(descriptor), Some(apic)) = (vcpu.posted.descriptor, vcpu.vms[0].apic) else {
        return;
    };
    physical::byte(descriptor + ON).fetch_and(!1, AcqRel);
    let mut highest = 0;
    for dword in 0..8u8 {
        let mut pending = physical::word(descriptor + u64::from(dword) * 4).swap(0, AcqRel);
        while pending != 0 {
            let bit = low_8(u64::from(pending.trailing_zeros()));
            pending &= pending - 1;
            let vector = dword * 32 + bit;
            if apic.request(vector) {
                observe::virr_merge(cpu, vector);
            }
            highest = highest.max(vector);
        }
    }
    if vcpu.current != 0 && highest < LOWEST_FOR_L2 {
        highest = 0;
    }
    let status = &mut vcpu.vms[0].vmcs.status;
    status.rvi = status.rvi.max(highest);
}

/// Whether L1 has an interrupt that its priority allows.
pub(crate) fn l1_has_deliverable(vcpu: &Vcpu) -> bool {
    let l1 = &vcpu.vms[0];
    l1.apic.is_some_and(|apic| apic.has_deliverable(l1.vmcs.status))
}
