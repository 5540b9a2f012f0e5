// SPDX-License-Identifier: MIT OR Apache-2.0
//! One event of a virtual CPU: injected at VM entry, or met at VM exit.
//!
//! The same layout serves VM-entry interruption information, VM-exit interruption information and
//! IDT-vectoring information; NMI unblocking exists at exit only.
//!
//! Spec: SDM, "VM-Entry Controls for Event Injection", "Information for VM Exits Due to Vectored
//! Events".

use bitfield_struct::bitfield;

/// Interruption information.
#[bitfield(u32)]
#[derive(PartialEq, Eq, Hash)]
pub struct InterruptionInfo {
    /// The vector.
    pub vector: u8,
    /// What kind of event.
    #[bits(3)]
    pub kind: InterruptionType,
    /// There is an error code.
    pub error_code_valid: bool,
    /// An IRET had just unblocked NMIs (VM exit only).
    pub nmi_unblocking: bool,
    #[bits(18)]
    __: u32,
    /// There is an event at all.
    pub valid: bool,
}

impl InterruptionInfo {
    /// Returns an external interrupt.
    #[must_use]
    pub const fn external_interrupt(vector: u8) -> Self {
        Self::new()
            .with_vector(vector)
            .with_kind(InterruptionType::EXTERNAL_INTERRUPT)
            .with_valid(true)
    }

    /// Returns a hardware exception without error code.
    #[must_use]
    pub const fn hardware_exception(vector: u8) -> Self {
        Self::new()
            .with_vector(vector)
            .with_kind(InterruptionType::HARDWARE_EXCEPTION)
            .with_valid(true)
    }

    /// Returns a non-maskable interrupt.
    #[must_use]
    pub const fn nmi() -> Self {
        Self::new().with_vector(2).with_kind(InterruptionType::NMI).with_valid(true)
    }
}

/// What kind of event an [`InterruptionInfo`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterruptionType(pub u8);

impl InterruptionType {
    /// An external interrupt.
    pub const EXTERNAL_INTERRUPT: Self = Self(0);
    /// A non-maskable interrupt.
    pub const NMI: Self = Self(2);
    /// An exception raised by the processor.
    pub const HARDWARE_EXCEPTION: Self = Self(3);
    /// `INT n`.
    pub const SOFTWARE_INTERRUPT: Self = Self(4);
    /// `INT1`.
    pub const PRIVILEGED_SOFTWARE_EXCEPTION: Self = Self(5);
    /// `INT3` or `INTO`.
    pub const SOFTWARE_EXCEPTION: Self = Self(6);
    /// Not an event (a pending monitor trap, at VM entry).
    pub const OTHER_EVENT: Self = Self(7);

    const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    const fn into_bits(self) -> u8 {
        self.0
    }

    /// Tells whether the event comes from an instruction, so that injecting it needs its length.
    #[must_use]
    pub const fn is_software(self) -> bool {
        matches!(self.0, 4..=6)
    }
}

#[cfg(test)]
mod tests {
    use super::{InterruptionInfo, InterruptionType};

    #[test]
    fn the_events_of_the_manual() {
        assert_eq!(InterruptionInfo::external_interrupt(0xF2).into_bits(), 0x8000_00F2);
        assert_eq!(InterruptionInfo::nmi().into_bits(), 0x8000_0202);
        let gp = InterruptionInfo::hardware_exception(13).with_error_code_valid(true);
        assert_eq!(gp.into_bits(), 0x8000_0B0D);
        assert!(!gp.kind().is_software() && InterruptionType::SOFTWARE_EXCEPTION.is_software());
    }
}
