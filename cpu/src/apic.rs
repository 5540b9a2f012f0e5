// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers of the local APIC.
//!
//! One table serves both views: the xAPIC page at `0xfee0_0000` has a register each 16 bytes, the
//! x2APIC has an MSR for each of those 16 bytes from `0x800` on.
//!
//! Spec: SDM "Local APIC Register Address Map"; SDM "x2APIC Register Address Space".

/// Physical address of the xAPIC page after reset.
pub const XAPIC_BASE: u64 = 0xfee0_0000;

/// The MSR that holds the APIC's base address and mode.
pub const IA32_APIC_BASE: u32 = 0x1b;

/// The MSR of the TSC deadline, which has no place in the xAPIC page.
pub const IA32_TSC_DEADLINE: u32 = 0x6e0;

/// A register of the local APIC, named as in the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(u16);

impl Register {
    /// Local APIC ID.
    pub const ID: Self = Self(0x020);
    /// Local APIC Version.
    pub const VERSION: Self = Self(0x030);
    /// Task Priority.
    pub const TPR: Self = Self(0x080);
    /// Processor Priority.
    pub const PPR: Self = Self(0x0a0);
    /// End Of Interrupt.
    pub const EOI: Self = Self(0x0b0);
    /// Logical Destination.
    pub const LDR: Self = Self(0x0d0);
    /// Destination Format; xAPIC only.
    pub const DFR: Self = Self(0x0e0);
    /// Spurious Interrupt Vector.
    pub const SVR: Self = Self(0x0f0);
    /// In-Service, bits 31:0; seven more follow.
    pub const ISR: Self = Self(0x100);
    /// Trigger Mode, bits 31:0; seven more follow.
    pub const TMR: Self = Self(0x180);
    /// Interrupt Request, bits 31:0; seven more follow.
    pub const IRR: Self = Self(0x200);
    /// Error Status.
    pub const ESR: Self = Self(0x280);
    /// Interrupt Command: bits 31:0 in xAPIC, all 64 bits in x2APIC.
    pub const ICR: Self = Self(0x300);
    /// Interrupt Command, bits 63:32; xAPIC only.
    pub const ICR_HIGH: Self = Self(0x310);
    /// LVT Timer.
    pub const LVT_TIMER: Self = Self(0x320);
    /// LVT Thermal Sensor.
    pub const LVT_THERMAL: Self = Self(0x330);
    /// LVT Performance Monitoring Counters.
    pub const LVT_PERFORMANCE: Self = Self(0x340);
    /// LVT LINT0.
    pub const LVT_LINT0: Self = Self(0x350);
    /// LVT LINT1.
    pub const LVT_LINT1: Self = Self(0x360);
    /// LVT Error.
    pub const LVT_ERROR: Self = Self(0x370);
    /// Initial Count of the timer.
    pub const TIMER_INITIAL_COUNT: Self = Self(0x380);
    /// Current Count of the timer.
    pub const TIMER_CURRENT_COUNT: Self = Self(0x390);
    /// Divide Configuration of the timer.
    pub const TIMER_DIVIDE: Self = Self(0x3e0);
    /// SELF IPI; x2APIC only.
    pub const SELF_IPI: Self = Self(0x3f0);

    /// Returns the register at `offset` of the xAPIC page, if that is a register boundary.
    #[must_use]
    pub const fn from_offset(offset: u16) -> Option<Self> {
        if offset < 0x400 && offset.is_multiple_of(16) { Some(Self(offset)) } else { None }
    }

    /// Returns the register behind the x2APIC MSR `msr`, if `msr` is in that range.
    #[must_use]
    pub const fn from_msr(msr: u32) -> Option<Self> {
        match msr {
            0x800..=0x83f => {
                let [low, ..] = msr.to_le_bytes();
                // The low byte is at most 0x3f, so the product is below 0x400.
                Some(Self((low as u16) << 4))
            }
            _ => None,
        }
    }

    /// Returns the register's byte offset in the xAPIC page.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.0 as u64
    }

    /// Returns the register's x2APIC MSR.
    #[must_use]
    pub const fn msr(self) -> u32 {
        0x800 + (self.0 as u32 >> 4)
    }
}

#[cfg(test)]
mod tests {
    use super::Register;

    #[test]
    fn an_msr_and_its_offset_name_the_same_register() {
        assert_eq!(Register::EOI.msr(), 0x80b);
        assert_eq!(Register::ICR.msr(), 0x830);
        assert_eq!(Register::SELF_IPI.msr(), 0x83f);
        for msr in 0x800..=0x83f {
            let register = Register::from_msr(msr).unwrap();
            assert_eq!(register.msr(), msr);
            assert_eq!(
                Register::from_offset(u16::try_from(register.offset()).unwrap()),
                Some(register)
            );
        }
    }

    #[test]
    fn what_is_not_a_register_has_no_name() {
        assert_eq!(Register::from_msr(0x7ff), None);
        assert_eq!(Register::from_msr(0x840), None);
        assert_eq!(Register::from_offset(0x404), None);
        assert_eq!(Register::from_offset(0x400), None);
    }
}
