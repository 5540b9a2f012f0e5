// SPDX-License-Identifier: MIT OR Apache-2.0
//! The synthetic registers.
//!
//! They are the partition's, not a CPU's, but for the index. A write is tried on a copy: what it needs
//! of L1 is done first, and may still fail.
//!
//! Spec: TLFS "Guest OS Identity MSR", "Establishing the Hypercall Interface", "Virtual Processor
//! Index", "Partition Reference Counter MSR", "Partition Reference TSC MSR", "TSC and APIC frequency
//! MSRs", "Guest Crash Enlightenment".

use super::reference_tsc::ReferenceTsc;

/// `HV_X64_MSR_GUEST_OS_ID`.
pub const GUEST_OS_ID: u32 = 0x4000_0000;
/// `HV_X64_MSR_HYPERCALL`.
pub const HYPERCALL: u32 = 0x4000_0001;
/// `HV_X64_MSR_VP_INDEX`.
pub const VP_INDEX: u32 = 0x4000_0002;
/// `HV_X64_MSR_TIME_REF_COUNT`.
pub const TIME_REF_COUNT: u32 = 0x4000_0020;
/// `HV_X64_MSR_REFERENCE_TSC`.
pub const REFERENCE_TSC: u32 = 0x4000_0021;
/// `HV_X64_MSR_TSC_FREQUENCY`.
pub const TSC_FREQUENCY: u32 = 0x4000_0022;
/// `HV_X64_MSR_APIC_FREQUENCY`.
pub const APIC_FREQUENCY: u32 = 0x4000_0023;
/// `HV_X64_MSR_CRASH_P0` to `P4`.
pub const CRASH_P0: u32 = 0x4000_0100;
const CRASH_P4: u32 = 0x4000_0104;
/// `HV_X64_MSR_CRASH_CTL`.
pub const CRASH_CTL: u32 = 0x4000_0105;
/// `HV_X64_MSR_TSC_INVARIANT_CONTROL`.
pub const TSC_INVARIANT_CONTROL: u32 = 0x4000_0118;

const ENABLE: u64 = 1 << 0;
const LOCKED: u64 = 1 << 1;
const PAGE_MASK: u64 = !0xfff;
const CRASH_NOTIFY: u64 = 1 << 63;

/// #GP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// What does not change while the guest runs.
#[derive(Clone, Copy, Debug)]
pub struct Constants {
    /// The clock.
    pub clock: ReferenceTsc,
    /// TSC ticks a second.
    pub tsc_hertz: u64,
    /// Ticks a second of the APIC's timer.
    pub apic_hertz: u64,
}

/// The registers that keep what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    guest_os_id: u64,
    hypercall: u64,
    reference_tsc: u64,
    tsc_invariant_control: u64,
    crash: [u64; 5],
}

/// What a write asks of L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing more.
    None,
    /// The hypercall page goes to this address.
    HypercallPage(u64),
    /// The reference TSC page goes to this address.
    ReferenceTscPage(u64),
    /// The guest has crashed, and leaves these parameters.
    Crash([u64; 5]),
}

/// Whether `msr` is one of these.
#[must_use]
pub const fn is_synthetic(msr: u32) -> bool {
    matches!(
        msr,
        GUEST_OS_ID..=VP_INDEX
            | TIME_REF_COUNT..=APIC_FREQUENCY
            | CRASH_P0..=CRASH_CTL
            | TSC_INVARIANT_CONTROL
    )
}

impl Registers {
    /// As they are before the guest writes any.
    pub const NEW: Self = Self {
        guest_os_id: 0,
        hypercall: 0,
        reference_tsc: 0,
        tsc_invariant_control: 0,
        crash: [0; 5],
    };

    /// Reads `msr` on CPU `index` at the time `tsc`.
    ///
    /// # Errors
    /// There is no such register.
    pub fn read(
        &self,
        msr: u32,
        (index, tsc): (u32, u64),
        constants: &Constants,
    ) -> Result<u64, Fault> {
        Ok(match msr {
            GUEST_OS_ID => self.guest_os_id,
            HYPERCALL => self.hypercall,
            VP_INDEX => index.into(),
            TIME_REF_COUNT => constants.clock.at(tsc),
            REFERENCE_TSC => self.reference_tsc,
            TSC_FREQUENCY => constants.tsc_hertz,
            APIC_FREQUENCY => constants.apic_hertz,
            CRASH_P0..=CRASH_P4 => self.crash[crash(msr)],
            CRASH_CTL => CRASH_NOTIFY,
            TSC_INVARIANT_CONTROL => self.tsc_invariant_control,
            _ => return Err(Fault),
        })
    }

    /// Writes `msr`, in a partition whose memory ends at `end`.
    ///
    /// # Errors
    /// The register does not exist, cannot be written, or not with this value.
    pub fn write(&mut self, msr: u32, value: u64, end: u64) -> Result<Effect, Fault> {
        match msr {
            GUEST_OS_ID => {
                self.guest_os_id = value;
                if value == 0 {
                    self.hypercall &= !ENABLE;
                }
                Ok(Effect::None)
            }
            HYPERCALL => self.write_hypercall(value, end),
            REFERENCE_TSC => {
                let page = enabled_page(value, end)?;
                self.reference_tsc = value;
                Ok(page.map_or(Effect::None, Effect::ReferenceTscPage))
            }
            CRASH_P0..=CRASH_P4 => {
                self.crash[crash(msr)] = value;
                Ok(Effect::None)
            }
            CRASH_CTL if value & CRASH_NOTIFY != 0 => Ok(Effect::Crash(self.crash)),
            CRASH_CTL => Ok(Effect::None),
            TSC_INVARIANT_CONTROL if value & !1 == 0 => {
                self.tsc_invariant_control = value;
                Ok(Effect::None)
            }
            _ => Err(Fault),
        }
    }

    /// A locked page stays where it is; nobody calls a hypervisor to which it has not introduced
    /// itself.
    fn write_hypercall(&mut self, value: u64, end: u64) -> Result<Effect, Fault> {
        if self.hypercall & LOCKED != 0 {
            return Ok(Effect::None);
        }
        let value = if self.guest_os_id == 0 { value & !ENABLE } else { value };
        let page = enabled_page(value, end)?;
        self.hypercall = value;
        Ok(page.map_or(Effect::None, Effect::HypercallPage))
    }

    /// Whether calls are taken.
    #[must_use]
    pub const fn takes_hypercalls(&self) -> bool {
        self.hypercall & ENABLE != 0
    }
}

/// Where the page goes that `value` switches on, if it does.
const fn enabled_page(value: u64, end: u64) -> Result<Option<u64>, Fault> {
    let page = value & PAGE_MASK;
    match value & ENABLE != 0 {
        true if page >= end => Err(Fault),
        true => Ok(Some(page)),
        false => Ok(None),
    }
}

fn crash(msr: u32) -> usize {
    usize::try_from(msr - CRASH_P0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{
        APIC_FREQUENCY, CRASH_CTL, CRASH_P0, Constants, Effect, Fault, GUEST_OS_ID, HYPERCALL,
        REFERENCE_TSC, Registers, TIME_REF_COUNT, TSC_FREQUENCY, TSC_INVARIANT_CONTROL, VP_INDEX,
        is_synthetic,
    };
    use crate::hyperv::reference_tsc::ReferenceTsc;
    use proptest::prelude::{any, proptest};

    const END: u64 = 0x100_0000;

    fn read(registers: &Registers, msr: u32) -> Result<u64, Fault> {
        let constants = Constants {
            clock: ReferenceTsc::new(1_000_000_000, 0),
            tsc_hertz: 1_000_000_000,
            apic_hertz: 25_000_000,
        };
        registers.read(msr, (3, 5_000), &constants)
    }

    #[test]
    fn what_the_guest_only_reads_is_there() {
        let registers = Registers::NEW;
        let values = [
            (VP_INDEX, 3),
            (TIME_REF_COUNT, 49),
            (TSC_FREQUENCY, 1_000_000_000),
            (APIC_FREQUENCY, 25_000_000),
            (CRASH_CTL, 1 << 63),
        ];
        for (msr, value) in values {
            assert_eq!(read(&registers, msr), Ok(value), "{msr:#x}");
        }
        for msr in [VP_INDEX, TIME_REF_COUNT, TSC_FREQUENCY, APIC_FREQUENCY, 0x4000_0073] {
            let mut registers = registers;
            assert_eq!(registers.write(msr, 0, END), Err(Fault), "{msr:#x}");
        }
    }

    #[test]
    fn the_hypercall_page_needs_a_guest_that_has_introduced_itself() {
        let mut registers = Registers::NEW;
        assert_eq!(registers.write(HYPERCALL, 0x5001, END), Ok(Effect::None));
        assert!(!registers.takes_hypercalls());
        assert_eq!(registers.write(GUEST_OS_ID, 1 << 63, END), Ok(Effect::None));
        assert_eq!(registers.write(HYPERCALL, 0x5001, END), Ok(Effect::HypercallPage(0x5000)));
        assert!(registers.takes_hypercalls());
        assert_eq!(read(&registers, HYPERCALL), Ok(0x5001));
        assert_eq!(registers.write(GUEST_OS_ID, 0, END), Ok(Effect::None));
        assert!(!registers.takes_hypercalls());
    }

    #[test]
    fn a_locked_page_is_not_moved_and_none_lies_beyond_memory() {
        let mut registers = Registers::NEW;
        assert_eq!(registers.write(GUEST_OS_ID, 1, END), Ok(Effect::None));
        for value in [END | 1, u64::MAX] {
            assert_eq!(registers.write(HYPERCALL, value, END), Err(Fault));
            assert_eq!(registers.write(REFERENCE_TSC, value, END), Err(Fault));
        }
        assert_eq!(registers.write(HYPERCALL, 0x5003, END), Ok(Effect::HypercallPage(0x5000)));
        assert_eq!(registers.write(HYPERCALL, 0x7001, END), Ok(Effect::None));
        assert_eq!(read(&registers, HYPERCALL), Ok(0x5003));
    }

    #[test]
    fn a_crash_is_told_with_its_parameters() {
        let mut registers = Registers::NEW;
        for number in 0..5 {
            let written = registers.write(CRASH_P0 + number, 7 + u64::from(number), END);
            assert_eq!(written, Ok(Effect::None));
        }
        let told = registers.write(CRASH_CTL, 1 << 63, END);
        assert_eq!(told, Ok(Effect::Crash([7, 8, 9, 10, 11])));
        assert_eq!(
            registers.write(REFERENCE_TSC, 0x6001, END),
            Ok(Effect::ReferenceTscPage(0x6000))
        );
    }

    #[test]
    fn only_bit_zero_of_the_invariant_control_exists() {
        let mut registers = Registers::NEW;
        assert_eq!(registers.write(TSC_INVARIANT_CONTROL, 2, END), Err(Fault));
        assert_eq!(registers.write(TSC_INVARIANT_CONTROL, 1, END), Ok(Effect::None));
        assert_eq!(read(&registers, TSC_INVARIANT_CONTROL), Ok(1));
    }

    proptest! {
        #[test]
        fn what_is_synthetic_is_readable_and_nothing_else(msr in 0x4000_0000_u32..0x4000_0200) {
            assert_eq!(read(&Registers::NEW, msr).is_ok(), is_synthetic(msr));
        }

        #[test]
        fn any_write_is_taken_or_refused(
            msr in 0x4000_0000_u32..0x4000_0200,
            value in any::<u64>(),
            locked in any::<bool>(),
        ) {
            let mut registers = Registers::NEW;
            let _ = registers.write(GUEST_OS_ID, 1, END);
            let _ = registers.write(HYPERCALL, if locked { 2 } else { 0 }, END);
            let effect = registers.write(msr, value, END);
            if let Ok(Effect::HypercallPage(page) | Effect::ReferenceTscPage(page)) = effect {
                assert!(page < END && page % 4096 == 0);
            }
        }
    }
}
