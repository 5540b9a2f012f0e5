// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDG.VP.VMCALL<SetupEventNotifyInterrupt>`: tell the host how to notify this virtual CPU.
//!
//! | in  |        | out |     |
//! |-----|--------|-----|-----|
//! | R12 | vector |     |     |
//!
//! It holds for the virtual CPU that calls, replaces what was told before and cannot be undone. The
//! interrupt may come at any time or never: it is a hint to look, never a fact.
//!
//! Spec: GHCI, "`TDG.VP.VMCALL<SetupEventNotifyInterrupt>`".

#![expect(unsafe_code, reason = "it uses the raw call")]

use super::{
    SubFunction, VmcallError,
    request::{ask, standard},
};
use crate::{GprMask, Registers, Tdcall};

/// A vector that can notify: 32 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventNotifyVector(u8);

impl EventNotifyVector {
    /// Makes a vector, unless it is one of the exceptions.
    #[must_use]
    pub const fn new(vector: u8) -> Option<Self> {
        if vector < 32 { None } else { Some(Self(vector)) }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Asks the host to notify this virtual CPU by `vector`.
///
/// # Errors
///
/// Tells who refused; many hosts do not have it.
pub fn setup_event_notify_interrupt(
    call: &impl Tdcall,
    vector: EventNotifyVector,
) -> Result<(), VmcallError> {
    let r12 = u64::from(vector.get());
    let input = Registers { r12, ..standard(SubFunction::SETUP_EVENT_NOTIFY_INTERRUPT) };
    // SAFETY: The sub-function writes nothing but registers.
    unsafe { ask(call, GprMask::R12, input) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::{EventNotifyVector, setup_event_notify_interrupt};
    use crate::{Registers, fake::Fake};

    #[test]
    fn exceptions_do_not_notify() {
        assert_eq!(EventNotifyVector::new(31), None);
        let vector = EventNotifyVector::new(0xE2).expect("an interrupt");
        let asked = Registers { rcx: 0x1C00, r11: 0x1_0004, r12: 0xE2, ..Registers::ZERO };
        let fake = Fake::new().tdcall(asked, Registers::ZERO);
        assert_eq!(setup_event_notify_interrupt(&fake, vector), Ok(()));
    }
}
