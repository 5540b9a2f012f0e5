// SPDX-License-Identifier: MIT OR Apache-2.0
//! Posts one interrupt: the request bit, then ON, then a notification if nobody sent one yet.
//!
//! # Orderings
//! The request is set before ON is looked at, both sequentially consistent, as in
//! `tdcall::PostedInterruptDescriptor`, where the argument is: whoever cleared ON takes the
//! requests afterwards, so a poster that finds ON set may stay silent.
//!
//! Spec: VT-D "Interrupt-Posting Hardware Operation".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::{PostedInterruptDescriptor, posted_interrupt::PostedInterruptControl};

use crate::observe::Bit;

/// A notification that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// Vector.
    pub(crate) vector: u8,
    /// APIC id.
    pub(crate) destination: u32,
}

/// Requests `vector` and tells what was there before.
pub(crate) fn request(descriptor: &PostedInterruptDescriptor, vector: u8) -> Bit {
    if descriptor.set(vector) { Bit::WasSet } else { Bit::WasClear }
}

/// Sets ON after a request; the caller sends the notification if one is due. With SN set none is,
/// and ON stays clear: whoever clears SN looks at the requests.
#[must_use]
pub(crate) fn outstand(descriptor: &PostedInterruptDescriptor) -> Option<Notification> {
    let update = |bits| {
        let control = PostedInterruptControl::from_bits(bits);
        let due = !control.outstanding() && !control.suppress();
        due.then_some(control.with_outstanding(true).into_bits())
    };
    let bits = descriptor.control.fetch_update(SeqCst, SeqCst, update).ok()?;
    let control = PostedInterruptControl::from_bits(bits);
    Some(Notification {
        vector: control.notification_vector(),
        destination: control.notification_destination(),
    })
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering::SeqCst;

    use tdcall::{PostedInterruptDescriptor, posted_interrupt::PostedInterruptControl};

    use super::{Notification, outstand, request};
    use crate::observe::Bit;

    #[test]
    fn only_the_first_request_notifies() {
        let descriptor = PostedInterruptDescriptor::new(0xf2, 3);
        assert_eq!(request(&descriptor, 0x40), Bit::WasClear);
        assert_eq!(outstand(&descriptor), Some(Notification { vector: 0xf2, destination: 3 }));
        assert_eq!(request(&descriptor, 0x40), Bit::WasSet);
        assert_eq!(request(&descriptor, 0x41), Bit::WasClear);
        assert_eq!(outstand(&descriptor), None);
        assert!(descriptor.clear_outstanding());
        assert_eq!(descriptor.take_requests()[2], 3);
        assert!(outstand(&descriptor).is_some());
    }

    #[test]
    fn a_suppressed_notification_is_not_outstanding() {
        let descriptor = PostedInterruptDescriptor::new(0xf2, 3);
        let suppress = PostedInterruptControl::new().with_suppress(true).into_bits();
        descriptor.control.fetch_or(suppress, SeqCst);
        assert_eq!(request(&descriptor, 0x40), Bit::WasClear);
        assert_eq!(outstand(&descriptor), None);
        assert!(!descriptor.control().outstanding() && descriptor.is_set(0x40));
    }

    #[test]
    fn nothing_is_lost_between_a_poster_and_a_taker() {
        let descriptor = PostedInterruptDescriptor::new(0xf2, 0);
        let posted = std::thread::scope(|scope| {
            let poster = scope.spawn(|| {
                (0..20_000)
                    .filter(|_| {
                        let bit = request(&descriptor, 0x51);
                        let _ = outstand(&descriptor);
                        bit == Bit::WasClear
                    })
                    .count()
            });
            let mut taken = 0;
            while !poster.is_finished() {
                descriptor.clear_outstanding();
                taken += usize::from(descriptor.take_requests()[2] != 0);
            }
            taken += usize::from(descriptor.take_requests()[2] != 0);
            (poster.join().unwrap(), taken)
        });
        assert_eq!(posted.0, posted.1);
    }
}
