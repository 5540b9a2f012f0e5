// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events that L1 gives to L2 at its next entry.
//!
//! Two sources: an exception that answers an exit, and an event whose delivery an exit interrupted.
//! The second is always given back first; the instruction that caused the first then simply runs
//! again.
//!
//! Spec: SDM "VM-Entry Controls for Event Injection", "IDT-Vectoring Information".

use tdcall::{InterruptionInfo, InterruptionType};

/// What goes into the entry-interruption fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Interruption information, valid bit included.
    pub information: InterruptionInfo,
    /// Error code, meaningful if the information says so.
    pub error_code: u32,
    /// Instruction length, meaningful for software events.
    pub length: u32,
}

const UD: u8 = 6;
const DF: u8 = 8;
const GP: u8 = 13;
const PF: u8 = 14;

impl Event {
    /// #UD.
    pub const UNDEFINED_OPCODE: Self = Self::new(InterruptionInfo::hardware_exception(UD));
    /// #GP(0).
    pub const GENERAL_PROTECTION: Self =
        Self::new(InterruptionInfo::hardware_exception(GP).with_error_code_valid(true));

    /// #PF. The address has to be in CR2.
    #[must_use]
    pub const fn page_fault(error_code: u32) -> Self {
        let information = InterruptionInfo::hardware_exception(PF).with_error_code_valid(true);
        Self { error_code, ..Self::new(information) }
    }

    /// What a processor raises when the delivery of this event ends in #GP: #DF for what may not be
    /// followed by another fault, #GP for the rest. `None`: it shuts down.
    #[must_use]
    pub const fn after_failed_delivery(self) -> Option<Self> {
        let double_fault = InterruptionInfo::hardware_exception(DF).with_error_code_valid(true);
        match (self.information.kind(), self.information.vector()) {
            (InterruptionType::HARDWARE_EXCEPTION, DF) => None,
            // #DE, #TS, #NP, #SS, #GP, #PF, #CP.
            (InterruptionType::HARDWARE_EXCEPTION, 0 | 10..=14 | 21) => {
                Some(Self::new(double_fault))
            }
            _ => Some(Self::GENERAL_PROTECTION),
        }
    }

    const fn new(information: InterruptionInfo) -> Self {
        Self { information, error_code: 0, length: 0 }
    }

    /// An event as an exit reports it: one whose delivery the exit interrupted, or an exception
    /// that L1 intercepted.
    ///
    /// The reserved bits are cleared and the combinations a processor refuses are dropped, because
    /// an entry with them would take the module down.
    #[must_use]
    pub const fn from_exit(raw: InterruptionInfo, error_code: u32, length: u32) -> Option<Self> {
        if !raw.valid() || !is_legal(raw, length) {
            return None;
        }
        let information = InterruptionInfo::new()
            .with_vector(raw.vector())
            .with_kind(raw.kind())
            .with_error_code_valid(raw.error_code_valid())
            .with_valid(true);
        Some(Self { information, error_code: error_code & 0x7fff, length })
    }
}

const fn is_legal(event: InterruptionInfo, length: u32) -> bool {
    let (vector, with_code) = (event.vector(), event.error_code_valid());
    match event.kind() {
        InterruptionType::EXTERNAL_INTERRUPT => !with_code,
        InterruptionType::NMI => vector == 2 && !with_code,
        InterruptionType::HARDWARE_EXCEPTION => {
            vector < 32 && (!with_code || takes_error_code(vector))
        }
        kind => kind.is_software() && !with_code && length >= 1 && length <= 15,
    }
}

/// #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP.
const fn takes_error_code(vector: u8) -> bool {
    matches!(vector, 8 | 10 | 11 | 12 | 13 | 14 | 17 | 21)
}

#[cfg(test)]
mod tests {
    use super::Event;
    use tdcall::InterruptionInfo;

    fn from_exit(information: u32, error_code: u32, length: u32) -> Option<(u32, u32, u32)> {
        Event::from_exit(InterruptionInfo::from_bits(information), error_code, length)
            .map(|event| (event.information.into_bits(), event.error_code, event.length))
    }

    #[test]
    fn an_interrupted_event_is_given_back() {
        assert_eq!(from_exit(0x8000_0051, 0, 0), Some((0x8000_0051, 0, 0)));
        assert_eq!(from_exit(0x8000_0b0e, 2, 0), Some((0x8000_0b0e, 2, 0)));
        assert_eq!(from_exit(0x8000_0480, 0, 2), Some((0x8000_0480, 0, 2)));
    }

    #[test]
    fn nothing_interrupted_is_nothing_given_back() {
        assert_eq!(from_exit(0x0000_0051, 0, 0), None);
    }

    #[test]
    fn undefined_bits_do_not_reach_the_entry_fields() {
        assert_eq!(from_exit(0xc000_1051, 0, 0), Some((0x8000_0051, 0, 0)));
    }

    #[test]
    fn combinations_that_fail_the_entry_are_dropped() {
        assert_eq!(from_exit(0x8000_0130, 0, 0), None, "reserved type");
        assert_eq!(from_exit(0x8000_0703, 0, 0), None, "other event");
        assert_eq!(from_exit(0x8000_0330, 0, 0), None, "exception above 31");
        assert_eq!(from_exit(0x8000_0b03, 0, 0), None, "error code where there is none");
        assert_eq!(from_exit(0x8000_0203, 0, 0), None, "NMI that is not 2");
        assert_eq!(from_exit(0x8000_0480, 0, 0), None, "software event without length");
    }

    #[test]
    fn a_delivery_that_fails_again_and_again_ends_in_a_shutdown() {
        let interrupt = Event::from_exit(InterruptionInfo::from_bits(0x8000_0051), 0, 0);
        let fault = interrupt.and_then(Event::after_failed_delivery).unwrap();
        assert_eq!(fault, Event::GENERAL_PROTECTION);
        let double = fault.after_failed_delivery().unwrap();
        assert_eq!(double.information.into_bits(), 0x8000_0b08);
        assert_eq!(double.after_failed_delivery(), None);
        assert_eq!(Event::page_fault(6).after_failed_delivery(), Some(double));
        let undefined = Event::UNDEFINED_OPCODE.after_failed_delivery();
        assert_eq!(undefined, Some(Event::GENERAL_PROTECTION), "benign");
    }

    #[test]
    fn the_exceptions_l1_raises_are_well_formed() {
        assert_eq!(Event::page_fault(6).information.into_bits(), 0x8000_0b0e);
        assert_eq!(Event::UNDEFINED_OPCODE.information.into_bits(), 0x8000_0306);
        assert_eq!(Event::GENERAL_PROTECTION.information.into_bits(), 0x8000_0b0d);
    }
}
