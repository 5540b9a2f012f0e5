// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MSRs of the synthetic interrupt controller, as typed values.
//!
//! Spec: TLFS "SynIC MSRs", "SINTx Registers".

use bitfield_struct::bitfield;

/// Sources of a CPU.
pub const SINTS: usize = 16;

/// The number of an MSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Msr(u32);

impl Msr {
    /// Enables the controller: [`Scontrol`].
    pub const SCONTROL: Self = Self(0x4000_0080);
    /// The version of the controller, 1.
    pub const SVERSION: Self = Self(0x4000_0081);
    /// Where the event flags are: [`PageMsr`].
    pub const SIEFP: Self = Self(0x4000_0082);
    /// Where the messages are: [`PageMsr`].
    pub const SIMP: Self = Self(0x4000_0083);
    /// End of message: zero is written after a slot was freed for which another message waits.
    pub const EOM: Self = Self(0x4000_0084);

    /// Returns the MSR of a source: [`Sint`].
    #[must_use]
    pub const fn sint(index: SintIndex) -> Self {
        Self(0x4000_0090 | index.0 as u32)
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Which of the sixteen sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SintIndex(u8);

impl SintIndex {
    /// Intercepts, and with them the proxy interrupts.
    pub const INTERCEPTION: Self = Self(0);
    /// Faults of the IOMMU.
    pub const IOMMU: Self = Self(1);
    /// VMBus.
    pub const VMBUS: Self = Self(2);
    /// VMBus of a paravisor, redirected away from the guest's.
    pub const REDIRECTED_VMBUS: Self = Self(7);

    /// Checks that there is such a source.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if index < 16 { Some(Self(index)) } else { None }
    }

    /// Returns the index.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    pub(crate) const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// SCONTROL.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Scontrol {
    /// The controller is on.
    pub enable: bool,
    #[bits(63)]
    __: u64,
}

/// SIMP and SIEFP.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct PageMsr {
    /// The page is used.
    pub enable: bool,
    #[bits(11)]
    __: u16,
    /// Guest page number.
    #[bits(52)]
    pub page_number: u64,
}

/// SINT0 to SINT15.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Sint {
    /// The vector to raise, 16 to 255.
    pub vector: u8,
    __: u8,
    /// Raise nothing.
    pub masked: bool,
    /// The controller ends the interrupt itself.
    pub auto_eoi: bool,
    /// Set flags and slots without raising the vector.
    pub polling: bool,
    /// Raise an intercept rather than the vector.
    pub as_intercept: bool,
    /// The interrupt is handled by the controller of the untrusted host.
    pub proxy: bool,
    #[bits(43)]
    __: u64,
}

impl Sint {
    /// What a source is when nobody wants it.
    pub const MASKED: Self = Self::new().with_masked(true);

    /// Raises `vector` for the source; vectors below 16 do not exist for it.
    #[must_use]
    pub const fn routed(vector: u8) -> Option<Self> {
        if vector < 16 { None } else { Some(Self::new().with_vector(vector)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Transcribed from the specification, independently of the declarations above.
    #[test]
    fn bits_are_where_the_specification_has_them() {
        assert_eq!(Msr::sint(SintIndex::INTERCEPTION).number(), 0x4000_0090);
        assert_eq!(SintIndex::new(15).map(|index| Msr::sint(index).number()), Some(0x4000_009f));
        assert_eq!(SintIndex::new(16), None);
        let numbers = [Msr::SCONTROL, Msr::SVERSION, Msr::SIEFP, Msr::SIMP, Msr::EOM];
        assert_eq!(numbers.map(Msr::number).map(|number| number & 0xff), [128, 129, 130, 131, 132]);
        assert_eq!(Scontrol::new().with_enable(true).into_bits(), 1);
        let page = PageMsr::new().with_enable(true).with_page_number(0x8_0000_1234);
        assert_eq!(page.into_bits(), 0x8000_0123_4001);
        assert_eq!(Sint::MASKED.into_bits(), 1 << 16);
        assert_eq!(Sint::new().with_auto_eoi(true).into_bits(), 1 << 17);
        assert_eq!(Sint::new().with_polling(true).into_bits(), 1 << 18);
        assert_eq!(Sint::new().with_as_intercept(true).into_bits(), 1 << 19);
        assert_eq!(Sint::new().with_proxy(true).into_bits(), 1 << 20);
        assert_eq!(Sint::routed(0xf3).map(Sint::into_bits), Some(0xf3));
        assert_eq!(Sint::routed(15), None);
    }
}
