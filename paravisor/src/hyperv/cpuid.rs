// SPDX-License-Identifier: MIT OR Apache-2.0
//! The leaves from 0x4000_0000 on.
//!
//! Spec: TLFS "Feature and Interface Discovery", "Microsoft Hypervisor CPUID Leaves",
//! "Hypervisor Isolation Configuration".

use bitflags::bitflags;

use crate::cpuid::Answer;

/// The first leaf.
const VENDOR_AND_MAX: u32 = 0x4000_0000;
/// The last leaf of the hypervisor.
const MAX: u32 = 0x4000_000c;
/// The last leaf of the virtualization stack.
const STACK_MAX: u32 = 0x4000_0082;

bitflags! {
    /// `HV_PARTITION_PRIVILEGE_MASK`: what the guest may use. EAX and EBX of leaf 0x4000_0003.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Privileges: u64 {
        /// `AccessPartitionReferenceCounter`.
        const REFERENCE_COUNTER = 1 << 1;
        /// `AccessHypercallMsrs`.
        const HYPERCALL_MSRS = 1 << 5;
        /// `AccessVpIndex`.
        const VP_INDEX = 1 << 6;
        /// `AccessPartitionReferenceTsc`.
        const REFERENCE_TSC = 1 << 9;
        /// `AccessFrequencyRegs`.
        const FREQUENCY_REGS = 1 << 11;
        /// `AccessTscInvariantControls`.
        const TSC_INVARIANT_CONTROLS = 1 << 15;
        /// `Isolation`.
        const ISOLATION = 1 << (32 + 22);
    }
}

/// What this hypervisor gives: all there is.
pub const PRIVILEGES: Privileges = Privileges::all();

/// Leaf 3 EDX: frequency registers and crash registers are there.
const FEATURES: u32 = 1 << 8 | 1 << 10;
/// Leaf 4 EAX: relaxed timing, and no automatic end of interrupt.
const HINTS: u32 = 1 << 5 | 1 << 9;
/// Leaf 4 EBX: never tell the hypervisor of a long spin.
const NEVER: u32 = u32::MAX;
/// Leaf 0xc EAX.
const PARAVISOR_PRESENT: u32 = 1;
/// Leaf 0xc EBX: type TDX, and a bit of the address tells shared memory.
const ISOLATION_TDX: u32 = 3;
const SHARED_GPA_BOUNDARY_ACTIVE: u32 = 1 << 5;

/// Answers `leaf`, for a guest of `cpus` CPUs whose addresses are shared from `shared_bit` on.
#[must_use]
pub const fn answer(leaf: u32, cpus: u32, shared_bit: u64) -> Answer {
    match leaf {
        VENDOR_AND_MAX => named(MAX, *b"Microsoft Hv"),
        0x4000_0001 => [u32::from_le_bytes(*b"Hv#1"), 0, 0, 0],
        0x4000_0003 => {
            let mask = PRIVILEGES.bits();
            [(mask & 0xffff_ffff) as u32, (mask >> 32) as u32, 0, FEATURES]
        }
        0x4000_0004 => [HINTS, NEVER, 0, 0],
        0x4000_0005 => [cpus, cpus, 0, 0],
        0x4000_000c => {
            let boundary = SHARED_GPA_BOUNDARY_ACTIVE | shared_bit.trailing_zeros() << 6;
            [PARAVISOR_PRESENT, ISOLATION_TDX | boundary, 0, 0]
        }
        0x4000_0080 => named(STACK_MAX, *b"Microsoft VS"),
        0x4000_0081 => [u32::from_le_bytes(*b"VS#1"), 0, 0, 0],
        _ => [0; 4],
    }
}

/// A maximum in EAX and a name in EBX, ECX, EDX.
const fn named(max: u32, name: [u8; 12]) -> Answer {
    let [b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = name;
    let word = u32::from_le_bytes;
    [max, word([b0, b1, b2, b3]), word([c0, c1, c2, c3]), word([d0, d1, d2, d3])]
}

#[cfg(test)]
mod tests {
    use super::answer;

    const fn leaf(number: u32) -> [u32; 4] {
        answer(number, 4, 1 << 47)
    }

    #[test]
    fn linux_takes_it_for_hyper_v() {
        let [max, b, c, d] = leaf(0x4000_0000);
        assert!((0x4000_0005..=0x4000_ffff).contains(&max));
        let name = [b.to_le_bytes(), c.to_le_bytes(), d.to_le_bytes()].concat();
        assert_eq!(name, b"Microsoft Hv");
        assert_eq!(leaf(0x4000_0001)[0], 0x3123_7648);
        // Without these two it takes the hypervisor for one it cannot use.
        assert_eq!(leaf(0x4000_0003)[0] & 0x60, 0x60);
    }

    #[test]
    fn the_isolation_is_tdx_with_paravisor_above_bit_47() {
        assert_eq!(leaf(0x4000_0003)[1], 1 << 22);
        assert_eq!(leaf(0x4000_000c), [1, 3 | 1 << 5 | 47 << 6, 0, 0]);
        assert_eq!(answer(0x4000_000c, 1, 1 << 51)[1], 3 | 1 << 5 | 51 << 6);
    }

    #[test]
    fn nothing_is_offered_that_is_not_there() {
        // VP_RUNTIME, SYNIC, SYNTIMER, APIC_ACCESS, RESET, GUEST_IDLE, REENLIGHTENMENT.
        assert_eq!(leaf(0x4000_0003)[0] & 0x249d, 0);
        // Hypercalls with XMM registers, direct timers.
        assert_eq!(leaf(0x4000_0003)[3] & (1 << 4 | 1 << 15 | 1 << 19), 0);
        assert_eq!(leaf(0x4000_0082), [0; 4]);
        assert_eq!(leaf(0x4000_000d), [0; 4]);
    }
}
