// SPDX-License-Identifier: MIT OR Apache-2.0
//! The posted-interrupt descriptor: where the host leaves interrupts for a virtual CPU.
//!
//! It is in memory shared by the IOMMU, the host and the module, so every field is an atomic. The
//! module only ever exchanges the request words with zero and clears ON.
//!
//! # Orderings
//!
//! [`set`](PostedInterruptDescriptor::set) and then
//! [`set_outstanding`](PostedInterruptDescriptor::set_outstanding) are sequentially consistent, and
//! so are [`clear_outstanding`](PostedInterruptDescriptor::clear_outstanding) and then
//! [`take_requests`](PostedInterruptDescriptor::take_requests). So a poster that finds ON already
//! set may stay silent: whoever clears that ON takes the requests afterwards, this one among them.
//!
//! Spec: SDM, "Posted-Interrupt Processing"; VT-D, "Posted Interrupt Descriptor (PID)".

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use bitfield_struct::bitfield;

/// The 64 bytes that `TDH.VP.WR` makes known to the module.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct PostedInterruptDescriptor {
    /// Posted-interrupt requests, one bit a vector.
    pub pir: [AtomicU32; 8],
    /// ON, SN, NV and NDST: a [`PostedInterruptControl`].
    pub control: AtomicU64,
    /// Not used.
    pub reserved: [AtomicU64; 3],
}

const _: () = assert!(size_of::<PostedInterruptDescriptor>() == 64);
const _: () = assert!(core::mem::offset_of!(PostedInterruptDescriptor, control) == 32);

/// The second half of the descriptor.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct PostedInterruptControl {
    /// ON: a notification is outstanding.
    pub outstanding: bool,
    /// SN: suppress notifications of interrupts that are not urgent.
    pub suppress: bool,
    #[bits(14)]
    __: u16,
    /// NV: the vector that notifies.
    pub notification_vector: u8,
    __: u8,
    /// NDST: the physical APIC id that is notified.
    pub notification_destination: u32,
}

impl PostedInterruptDescriptor {
    /// Returns an empty descriptor that notifies `destination` with `vector`.
    #[must_use]
    pub fn new(vector: u8, destination: u32) -> Self {
        let control = PostedInterruptControl::new()
            .with_notification_vector(vector)
            .with_notification_destination(destination);
        Self { control: AtomicU64::new(control.into_bits()), ..Self::default() }
    }

    /// Sets the request bit of `vector` and tells whether it was set before.
    pub fn set(&self, vector: u8) -> bool {
        let bit = 1 << (vector & 31);
        self.pir[usize::from(vector >> 5)].fetch_or(bit, SeqCst) & bit != 0
    }

    /// Tells whether the request bit of `vector` is set.
    #[must_use]
    pub fn is_set(&self, vector: u8) -> bool {
        self.pir[usize::from(vector >> 5)].load(SeqCst) & 1 << (vector & 31) != 0
    }

    /// Sets ON and tells whether it was set before, so that no second notification is due.
    pub fn set_outstanding(&self) -> bool {
        let on = PostedInterruptControl::new().with_outstanding(true).into_bits();
        self.control.fetch_or(on, SeqCst) & on != 0
    }

    /// Clears ON and tells whether it was set.
    pub fn clear_outstanding(&self) -> bool {
        let on = PostedInterruptControl::new().with_outstanding(true).into_bits();
        self.control.fetch_and(!on, SeqCst) & on != 0
    }

    /// Takes all requests, leaving none.
    #[must_use = "the requests are gone from the descriptor"]
    pub fn take_requests(&self) -> [u32; 8] {
        core::array::from_fn(|word| self.pir[word].swap(0, SeqCst))
    }

    /// Returns the second half as it is now.
    #[must_use]
    pub fn control(&self) -> PostedInterruptControl {
        PostedInterruptControl::from_bits(self.control.load(SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::PostedInterruptDescriptor;

    #[test]
    fn a_posted_vector_is_taken_exactly_once() {
        let pid = PostedInterruptDescriptor::new(0xF2, 3);
        assert!(!pid.set(0x51) && pid.set(0x51) && pid.is_set(0x51));
        assert!(!pid.set_outstanding() && pid.set_outstanding());
        assert!(pid.clear_outstanding() && !pid.clear_outstanding());
        assert_eq!(pid.take_requests(), [0, 0, 1 << 17, 0, 0, 0, 0, 0]);
        assert_eq!(pid.take_requests(), [0; 8]);
        assert_eq!(pid.control().notification_vector(), 0xF2);
        assert_eq!(pid.control().notification_destination(), 3);
    }
}
