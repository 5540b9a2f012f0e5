// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtual-interrupt delivery and x2APIC virtualization, which TCG's SVM lacks.
//!
//! This is the processor's part of VMX's APIC virtualization, done on the same virtual-APIC page:
//! whoever owns the page (the TDX module for L1, L1 for L2) finds in it what hardware would leave.
//!
//! Spec: SDM "Virtual-Interrupt Delivery", "Virtualizing MSR-Based APIC Accesses".

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::narrow::low_8;
use super::physical::{self, Hpa};

/// Requesting and servicing virtual interrupt: the guest interrupt status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InterruptStatus {
    /// Highest requesting vector, 0 if none.
    pub(crate) rvi: u8,
    /// Highest vector in service, 0 if none.
    pub(crate) svi: u8,
}

impl InterruptStatus {
    /// The VMCS field: RVI in the low byte, SVI in the high byte.
    pub(crate) const fn field(self) -> u16 {
        u16::from_le_bytes([self.rvi, self.svi])
    }

    /// From the VMCS field.
    pub(crate) const fn from_field(field: u16) -> Self {
        let [rvi, svi] = field.to_le_bytes();
        Self { rvi, svi }
    }
}

/// A handle to a virtual-APIC page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VirtualApic(pub(crate) Hpa);

/// Offsets of registers in the page; x2APIC MSR `0x800 + offset / 16`.
pub(crate) mod register {
    /// Task priority.
    pub(crate) const TPR: u64 = 0x080;
    /// Processor priority.
    pub(crate) const PPR: u64 = 0x0a0;
    /// End of interrupt.
    pub(crate) const EOI: u64 = 0x0b0;
    /// In service, eight words.
    pub(crate) const ISR: u64 = 0x100;
    /// Interrupt request, eight words.
    pub(crate) const IRR: u64 = 0x200;
    /// Self-IPI, which exists in x2APIC mode only.
    pub(crate) const SELF_IPI: u64 = 0x3f0;
}

impl VirtualApic {
    fn register(self, offset: u64) -> &'static AtomicU32 {
        physical::word(self.0 + offset)
    }

    fn bank(self, base: u64, vector: u8) -> &'static AtomicU32 {
        self.register(base + u64::from(vector / 32) * 16)
    }

    /// Reads the register at `offset`.
    pub(crate) fn read(self, offset: u64) -> u32 {
        self.register(offset).load(Relaxed)
    }

    /// Writes the task priority and recomputes the processor priority.
    pub(crate) fn set_tpr(self, tpr: u8, status: InterruptStatus) {
        self.register(register::TPR).store(u32::from(tpr), Relaxed);
        self.update_ppr(status);
    }

    /// PPR virtualization: the higher of the task's and the serviced interrupt's class.
    pub(crate) fn update_ppr(self, status: InterruptStatus) {
        let tpr = self.read(register::TPR) & 0xff;
        let svi = u32::from(status.svi);
        let ppr = if tpr & 0xf0 >= svi & 0xf0 { tpr } else { svi & 0xf0 };
        self.register(register::PPR).store(ppr, Relaxed);
    }

    /// Whether a virtual interrupt is pending and not masked by the processor priority.
    pub(crate) fn has_deliverable(self, status: InterruptStatus) -> bool {
        u32::from(status.rvi) & 0xf0 > self.read(register::PPR) & 0xf0
    }

    /// Requests `vector`; tells whether it was pending already.
    pub(crate) fn request(self, vector: u8) -> bool {
        let mask = 1 << (vector % 32);
        self.bank(register::IRR, vector).fetch_or(mask, Relaxed) & mask != 0
    }

    /// Virtual-interrupt delivery: moves the requesting vector into service and returns it.
    pub(crate) fn deliver(self, status: &mut InterruptStatus) -> u8 {
        let vector = status.rvi;
        let mask = 1 << (vector % 32);
        self.bank(register::ISR, vector).fetch_or(mask, Relaxed);
        self.bank(register::IRR, vector).fetch_and(!mask, Relaxed);
        status.svi = vector;
        status.rvi = self.highest(register::IRR);
        self.register(register::PPR).store(u32::from(vector & 0xf0), Relaxed);
        vector
    }

    /// EOI virtualization: ends the vector in service and returns it.
    pub(crate) fn end_of_interrupt(self, status: &mut InterruptStatus) -> u8 {
        let vector = status.svi;
        self.bank(register::ISR, vector).fetch_and(!(1 << (vector % 32)), Relaxed);
        status.svi = self.highest(register::ISR);
        self.update_ppr(*status);
        vector
    }

    /// Highest vector set in the eight words at `base`, 0 if none.
    pub(crate) fn highest(self, base: u64) -> u8 {
        (0..8u8)
            .rev()
            .find_map(|bank| {
                let word = self.read(base + u64::from(bank) * 16);
                word.checked_ilog2().map(|bit| bank * 32 + low_8(u64::from(bit)))
            })
            .unwrap_or(0)
    }
}
