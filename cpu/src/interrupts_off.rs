// SPDX-License-Identifier: MIT OR Apache-2.0
//! The proof that this CPU takes no maskable interrupt.
#![expect(unsafe_code, reason = "whoever claims the proof without earning it must argue why")]

use core::marker::PhantomData;

use x86_64::instructions::interrupts;

/// The proof that RFLAGS.IF is 0 on this CPU as long as the value is borrowed.
///
/// A function that must not be interrupted takes `&InterruptsOff`. The value stays on the CPU that
/// made it: it is neither `Send` nor `Sync`.
#[derive(Debug)]
pub struct InterruptsOff {
    of_this_cpu: PhantomData<*const ()>,
}

impl InterruptsOff {
    /// Runs `work` with IF = 0 and restores IF afterwards.
    ///
    /// The proof is lent to a closure, not returned: two guards could be dropped in the wrong order.
    pub fn with<R>(work: impl FnOnce(&Self) -> R) -> R {
        interrupts::without_interrupts(|| work(&Self { of_this_cpu: PhantomData }))
    }

    /// Claims the proof where interrupts are known to be off.
    ///
    /// # Safety
    ///
    /// RFLAGS.IF is 0 and stays 0 until the value is dropped: the caller is an interrupt handler
    /// behind an interrupt gate, or has not set IF yet.
    #[must_use]
    pub unsafe fn assume() -> Self {
        Self { of_this_cpu: PhantomData }
    }
}
