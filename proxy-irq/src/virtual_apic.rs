// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual-APIC page of L2 on one virtual CPU.
//!
//! Dwords at their architectural offsets; the 256-bit registers are eight dwords, 16 bytes apart. While
//! L2 runs the processor owns the page; while L1 runs the owner CPU does: its interrupt handlers, and
//! its main context with IF=0 where it modifies the VIRR. Nobody else ever touches it, so load and store
//! make a modification.
//!
//! The processor looks at the first 1 KiB only. From 0x800 on the page holds the relay's banks, so that
//! a [slot word](crate::slot) can name a register or a bank by the same ten bits.
//!
//! # Orderings
//! All Relaxed: the entry into L2 and the exit from it order everything.
//!
//! Spec: SDM "Virtual APIC State", "Virtual-Interrupt Delivery", "EOI Virtualization".

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::{
    reserved_vector::{L2Vector, Slot},
    slot::VECTOR_BANKS,
};

const DWORDS: usize = 1024;
/// Those that the processor may look at.
const REGISTERS: usize = 0x400 / 4;

/// What pends in the VIRR, or in a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The highest vector, or 0.
    pub(crate) highest: u32,
    /// How many vectors.
    pub(crate) count: u32,
}

/// The page, as the processor and the TDX module see it.
#[derive(Debug)]
#[repr(C)]
#[cfg_attr(not(loom), repr(align(4096)))]
pub struct VirtualApicPage(Dwords);

#[cfg(not(loom))]
type Dwords = [AtomicU32; DWORDS];

/// loom's threads have small stacks.
#[cfg(loom)]
type Dwords = alloc::boxed::Box<[AtomicU32]>;

#[cfg(not(loom))]
const _: () = assert!(size_of::<VirtualApicPage>() == 4096);

/// A register, by its offset in the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register(u16);

impl Register {
    /// Local APIC ID.
    pub const ID: Self = Self(0x20);
    /// Local APIC version.
    pub const VERSION: Self = Self(0x30);
    /// Task priority.
    pub const TPR: Self = Self(0x80);
    /// Processor priority.
    pub const PPR: Self = Self(0xa0);
    /// End of interrupt.
    pub const EOI: Self = Self(0xb0);
    /// Logical destination.
    pub const LDR: Self = Self(0xd0);
    /// Spurious-interrupt vector.
    pub const SVR: Self = Self(0xf0);
    /// In service, lowest dword.
    pub const ISR: Self = Self(0x100);
    /// Trigger mode, lowest dword.
    pub const TMR: Self = Self(0x180);
    /// Requested, lowest dword.
    pub const IRR: Self = Self(0x200);
    /// Error status.
    pub const ESR: Self = Self(0x280);
    /// Interrupt command, low half.
    pub const ICR_LOW: Self = Self(0x300);
    /// Interrupt command, high half.
    pub const ICR_HIGH: Self = Self(0x310);
    /// Local vector table: timer.
    pub const LVT_TIMER: Self = Self(0x320);
    /// Local vector table: thermal sensor.
    pub const LVT_THERMAL: Self = Self(0x330);
    /// Local vector table: performance counters.
    pub const LVT_PERFORMANCE: Self = Self(0x340);
    /// Local vector table: LINT0.
    pub const LVT_LINT0: Self = Self(0x350);
    /// Local vector table: LINT1.
    pub const LVT_LINT1: Self = Self(0x360);
    /// Local vector table: error.
    pub const LVT_ERROR: Self = Self(0x370);
    /// Timer: initial count.
    pub const TIMER_INITIAL: Self = Self(0x380);
    /// Timer: current count.
    pub const TIMER_CURRENT: Self = Self(0x390);
    /// Timer: divide configuration.
    pub const TIMER_DIVIDE: Self = Self(0x3e0);

    /// Returns the register that the x2APIC has at MSR `msr`, or `None` if that is no APIC register.
    #[must_use]
    pub fn of_msr(msr: u32) -> Option<Self> {
        let index = msr.checked_sub(0x800).filter(|index| *index < 0x40)?;
        u16::try_from(index << 4).ok().map(Self)
    }

    /// Returns the register's offset in the page.
    #[must_use]
    pub const fn offset(self) -> u16 {
        self.0
    }

    const fn bank(self, bank: usize) -> usize {
        (self.0 as usize / 4 + 4 * (bank % VECTOR_BANKS)) % DWORDS
    }
}

/// An interrupt whose service L2 has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The vector.
    pub vector: L2Vector,
    /// Whether its source must be told: a level-triggered one, at the IO-APIC.
    pub trigger: Trigger,
}

/// How a vector was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// By a message: nothing happens at its end.
    Edge,
    /// By a line: its EOI goes to the IO-APIC.
    Level,
}

impl VirtualApicPage {
    /// Returns a page of zeros.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; DWORDS])
    }

    /// Returns a page of zeros.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self((0..DWORDS).map(|_| AtomicU32::new(0)).collect())
    }

    /// Makes all registers zero again, as INIT does. The relay's banks are no registers.
    pub(crate) fn reset(&self) {
        for register in &self.0[..REGISTERS] {
            register.store(0, Relaxed);
        }
    }

    /// Returns a dword of the page.
    #[inline]
    pub(crate) fn get(&self, dword: usize) -> u32 {
        self.0[dword % DWORDS].load(Relaxed)
    }

    /// Sets bits of a dword of the page. Owner only, IF=0: [`OWNER-BANKS`](crate#invariants).
    #[inline]
    pub(crate) fn set(&self, dword: usize, bits: u32) {
        let place = &self.0[dword % DWORDS];
        place.store(place.load(Relaxed) | bits, Relaxed);
    }

    /// Takes all bits of a dword of the page. Owner only, IF=0: [`OWNER-BANKS`](crate#invariants).
    #[inline]
    pub(crate) fn take(&self, dword: usize) -> u32 {
        let place = &self.0[dword % DWORDS];
        let bits = place.load(Relaxed);
        if bits != 0 {
            place.store(0, Relaxed);
        }
        bits
    }

    /// Returns what pends in dword `dword` of the page, which is the one of the VIRR that begins with
    /// vector `first`.
    #[inline]
    pub(crate) fn pending_in(&self, dword: usize, first: u32) -> Pending {
        let bits = self.get(dword);
        let highest = bits.checked_ilog2().map_or_else(no_vector, |bit| first | bit);
        Pending { highest, count: bits.count_ones() }
    }

    /// Returns what pends in the whole VIRR.
    #[inline]
    pub(crate) fn pending(&self) -> Pending {
        let banks = (0..VECTOR_BANKS).map(|bank| self.read_bank(Register::IRR, bank));
        Pending { highest: self.rvi().into(), count: banks.map(u32::count_ones).sum() }
    }

    /// Returns a 32-bit register, or the lowest dword of a longer one.
    #[must_use]
    pub fn read(&self, register: Register) -> u32 {
        self.read_bank(register, 0)
    }

    /// Sets a 32-bit register, or the lowest dword of a longer one.
    pub fn write(&self, register: Register, value: u32) {
        self.write_bank(register, 0, value);
    }

    /// Returns dword `bank` (modulo 8) of a 256-bit register.
    #[must_use]
    #[inline]
    pub fn read_bank(&self, register: Register, bank: usize) -> u32 {
        self.0[register.bank(bank)].load(Relaxed)
    }

    /// Sets dword `bank` (modulo 8) of a 256-bit register.
    #[inline]
    pub fn write_bank(&self, register: Register, bank: usize, value: u32) {
        self.0[register.bank(bank)].store(value, Relaxed);
    }

    /// Returns the highest vector set in a 256-bit register.
    #[must_use]
    #[inline]
    pub fn highest(&self, register: Register) -> Option<L2Vector> {
        (0..VECTOR_BANKS).rev().find_map(|bank| {
            let bits = self.read_bank(register, bank);
            L2Vector::from_bank(bank, bits.checked_ilog2()?)
        })
    }

    /// Makes the vectors `bits` of `bank` pending, by level those that are also in `levels`, and by
    /// edge the others; returns those that were pending already.
    ///
    /// The trigger mode follows the last request, so a vector that was once level-triggered stops
    /// being so.
    #[inline]
    pub(crate) fn request_bank(&self, bank: usize, bits: u32, levels: u32) -> u32 {
        let pending = self.read_bank(Register::IRR, bank);
        self.write_bank(Register::IRR, bank, pending | bits);
        let known = self.read_bank(Register::TMR, bank);
        let wanted = known & !bits | levels & bits;
        if wanted != known {
            self.write_bank(Register::TMR, bank, wanted);
        }
        pending & bits
    }

    /// Makes `vector` pending. The caller raises the RVI, or lets [`Self::rvi`] find it.
    pub fn request(&self, vector: L2Vector, trigger: Trigger) {
        let levels = if trigger == Trigger::Level { vector.mask() } else { 0 };
        self.request_bank(vector.bank(), vector.mask(), levels);
    }

    /// Returns the RVI that the pending vectors amount to, by search: for a page whose RVI is lost.
    #[must_use]
    #[inline]
    pub fn rvi(&self) -> u8 {
        self.highest(Register::IRR).map_or(0, L2Vector::get)
    }

    /// Returns the processor priority that task priority and vectors in service amount to.
    #[must_use]
    pub fn processor_priority(&self) -> u8 {
        let task = self.read(Register::TPR).to_le_bytes()[0];
        let service = self.highest(Register::ISR).map_or(0, L2Vector::get);
        if task >> 4 >= service >> 4 { task } else { service & 0xf0 }
    }

    /// Returns the vector that L2 would take now if it had interrupts enabled.
    #[must_use]
    pub fn deliverable(&self) -> Option<L2Vector> {
        let vector = self.highest(Register::IRR)?;
        (vector.get() >> 4 > self.processor_priority() >> 4).then_some(vector)
    }

    /// Moves `vector` from requested to in service, as delivery does.
    pub fn deliver(&self, vector: L2Vector) {
        self.clear_bit(Register::IRR, vector);
        self.set_bit(Register::ISR, vector);
        self.write(Register::PPR, self.processor_priority().into());
    }

    /// Ends the service of the highest vector, as a write of EOI does where L1 emulates it.
    pub fn end_of_interrupt(&self) -> Option<Ended> {
        let vector = self.highest(Register::ISR)?;
        self.clear_bit(Register::ISR, vector);
        self.write(Register::PPR, self.processor_priority().into());
        Some(Ended { vector, trigger: self.trigger(vector) })
    }

    /// Returns how `vector` was last requested. After an EOI-induced exit, whose qualification is
    /// the vector, this tells whether the IO-APIC waits for it.
    #[must_use]
    pub fn trigger(&self, vector: L2Vector) -> Trigger {
        match self.read_bank(Register::TMR, vector.bank()) & vector.mask() {
            0 => Trigger::Edge,
            _ => Trigger::Level,
        }
    }

    /// Returns the four EOI-exit bitmaps that make the end of each level-triggered vector exit.
    #[must_use]
    pub fn eoi_exit_bitmaps(&self) -> [u64; 4] {
        core::array::from_fn(|index| {
            let low = self.read_bank(Register::TMR, 2 * index);
            let high = self.read_bank(Register::TMR, 2 * index + 1);
            u64::from(high) << 32 | u64::from(low)
        })
    }

    /// Iterates over the vectors that are set in a 256-bit register, in ascending order.
    pub fn vectors(&self, register: Register) -> impl Iterator<Item = L2Vector> {
        (0..VECTOR_BANKS).flat_map(move |bank| {
            Slot::in_bits(self.read_bank(register, bank))
                .filter_map(move |bit| L2Vector::from_bank(bank, bit.get().into()))
        })
    }

    fn set_bit(&self, register: Register, vector: L2Vector) {
        let bits = self.read_bank(register, vector.bank());
        self.write_bank(register, vector.bank(), bits | vector.mask());
    }

    fn clear_bit(&self, register: Register, vector: L2Vector) {
        let bits = self.read_bank(register, vector.bank());
        self.write_bank(register, vector.bank(), bits & !vector.mask());
    }
}

/// Nothing pends, which is rare where somebody looks.
#[cold]
const fn no_vector() -> u32 {
    0
}

impl Default for VirtualApicPage {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(number: u8) -> L2Vector {
        L2Vector::new(number).unwrap()
    }

    #[test]
    fn every_vector_has_its_architectural_bit() {
        for vector in L2Vector::all() {
            let page = VirtualApicPage::new();
            page.request(vector, Trigger::Edge);
            let offset = 0x200 + 16 * usize::from(vector.get() / 32);
            assert_eq!(page.0[offset / 4].load(Relaxed), 1 << (vector.get() % 32));
            assert_eq!(page.rvi(), vector.get());
            assert!(page.vectors(Register::IRR).eq([vector]));
        }
    }

    #[test]
    fn a_vector_waits_for_those_of_its_class_and_above() {
        let page = VirtualApicPage::new();
        page.request(vector(0x51), Trigger::Edge);
        page.request(vector(0x5f), Trigger::Edge);
        assert_eq!(page.deliverable(), Some(vector(0x5f)));
        page.deliver(vector(0x5f));
        assert_eq!(page.read(Register::PPR), 0x50);
        assert_eq!(page.deliverable(), None);
        page.request(vector(0x60), Trigger::Edge);
        assert_eq!(page.deliverable(), Some(vector(0x60)));
        page.write(Register::TPR, 0x6f);
        assert_eq!(page.processor_priority(), 0x6f);
        assert_eq!(page.deliverable(), None);
    }

    #[test]
    fn only_a_level_triggered_vector_reports_its_end() {
        let page = VirtualApicPage::new();
        page.request(vector(0x31), Trigger::Level);
        assert_eq!(page.eoi_exit_bitmaps(), [1 << 0x31, 0, 0, 0]);
        page.deliver(vector(0x31));
        assert_eq!(
            page.end_of_interrupt(),
            Some(Ended { vector: vector(0x31), trigger: Trigger::Level })
        );
        page.request_bank(1, vector(0x31).mask(), 0);
        assert_eq!(page.eoi_exit_bitmaps(), [0; 4]);
        page.deliver(vector(0x31));
        assert_eq!(
            page.end_of_interrupt(),
            Some(Ended { vector: vector(0x31), trigger: Trigger::Edge })
        );
        assert_eq!(page.end_of_interrupt(), None);
    }

    #[test]
    fn a_reset_leaves_nothing_pending_or_in_service() {
        let page = VirtualApicPage::new();
        page.request(vector(0x31), Trigger::Level);
        page.deliver(vector(0x31));
        page.request(vector(0xf1), Trigger::Edge);
        page.write(Register::TPR, 0xff);
        page.reset();
        assert_eq!((page.rvi(), page.processor_priority()), (0, 0));
        assert_eq!(page.end_of_interrupt(), None);
    }

    #[test]
    fn an_x2apic_msr_is_a_register_of_the_page() {
        assert_eq!(Register::of_msr(0x808), Some(Register::TPR));
        assert_eq!(Register::of_msr(0x820), Some(Register::IRR));
        assert_eq!(Register::of_msr(0x83e), Some(Register::TIMER_DIVIDE));
        assert_eq!(Register::of_msr(0x840), None);
        assert_eq!(Register::of_msr(0x7ff), None);
    }
}
