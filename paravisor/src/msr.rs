// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's model-specific registers: which it accesses without L1, and what the others read as.
//!
//! Registers without an exit are those the module switches with the VM, or shares between L1 and L2
//! while L1 never uses them. Registers that a kernel probes although its processor need not have them
//! read as zero and take writes silently; all others are #GP.
//!
//! Spec: TDX-BASE "MSR Handling"; SDM volume 4.

/// Registers L2 reads and writes by itself.
pub const NATIVE: &[u32] = &[
    0x48,
    0x174,
    0x175,
    0x176,
    0x277,
    0x600,
    0xc000_0081,
    0xc000_0082,
    0xc000_0084,
    0xc000_0100,
    0xc000_0101,
    0xc000_0102,
    0xc000_0103,
];

/// Registers L2 only reads by itself: the TSC, EFER, and in the APIC PPR and the three bitmaps.
pub const NATIVE_READ: &[u32] = &[
    0x10,
    0xc000_0080,
    0x80a,
    0x810,
    0x811,
    0x812,
    0x813,
    0x814,
    0x815,
    0x816,
    0x817,
    0x818,
    0x819,
    0x81a,
    0x81b,
    0x81c,
    0x81d,
    0x81e,
    0x81f,
    0x820,
    0x821,
    0x822,
    0x823,
    0x824,
    0x825,
    0x826,
    0x827,
];

/// Registers L2 only writes by itself: branch prediction, and in the APIC EOI and SELF_IPI.
pub const NATIVE_WRITE: &[u32] = &[0x49, 0x80b, 0x83f];

/// The task priority, which L2 reads and writes by itself: vector 0x808 of the APIC.
pub const TASK_PRIORITY: u32 = 0x808;

/// What L1 does with an access that exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// `IA32_APIC_BASE`.
    ApicBase,
    /// The x2APIC register of that number.
    Apic(u32),
    /// `IA32_TSC_DEADLINE`.
    TscDeadline,
    /// `IA32_EFER`.
    Efer,
    /// Reads as this value; writes are dropped.
    Constant(u64),
    /// #GP.
    Absent,
}

/// Fast strings on, branch trace and precise sampling unavailable.
const MISC_ENABLE: u64 = 1 << 0 | 1 << 11 | 1 << 12;
/// Locked, with nothing enabled.
const FEATURE_CONTROL: u64 = 1;

/// What `msr` is to L1.
#[must_use]
pub const fn classify(msr: u32) -> Register {
    match msr {
        0x1b => Register::ApicBase,
        0x800..=0x8ff => Register::Apic(msr),
        0x6e0 => Register::TscDeadline,
        0xc000_0080 => Register::Efer,
        0x1a0 => Register::Constant(MISC_ENABLE),
        0x3a => Register::Constant(FEATURE_CONTROL),
        // TSC, platform id, microcode, SMI count, core capabilities, energy, frequency.
        0x10 | 0x17 | 0x8b | 0x34 | 0xcf | 0xce | 0x140 | 0x64e | 0x606 | 0x611 | 0x619
        // TSC_ADJUST, speculation control, architectural capabilities, PRED_CMD, flush, TSX.
        | 0x3b | 0x48 | 0x49 | 0x10a | 0x10b | 0x122 | 0x123
        // MTRRs.
        | 0xfe | 0x200..=0x20f | 0x250 | 0x258 | 0x259 | 0x268..=0x26f | 0x2ff
        // Machine check.
        | 0x179..=0x17b | 0x400..=0x47f
        // Debug control, performance counters.
        | 0x1d9 | 0x345 | 0xc1..=0xc8 | 0x186..=0x18d | 0x38d..=0x390
        // Performance status and control, thermal.
        | 0x198 | 0x199 | 0x19a..=0x19c | 0x1a2 | 0x1b0 | 0x1b1
        // CSTAR, AMD's own.
        | 0xc000_0083 | 0xc001_0015 | 0xc001_001f | 0xc001_1029 => Register::Constant(0),
        _ => Register::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::{NATIVE, NATIVE_READ, NATIVE_WRITE, Register, classify};

    #[test]
    fn the_apic_is_the_apic() {
        assert_eq!(classify(0x830), Register::Apic(0x830));
        assert_eq!(classify(0x1b), Register::ApicBase);
        assert_eq!(classify(0x6e0), Register::TscDeadline);
    }

    #[test]
    fn what_nobody_knows_is_absent() {
        for msr in [0, 0x480, 0x4000_0000, 0xc000_0104, 0xffff_ffff] {
            assert_eq!(classify(msr), Register::Absent);
        }
    }

    #[test]
    fn no_register_is_listed_twice() {
        let mut all: alloc::vec::Vec<u32> = [NATIVE, NATIVE_READ, NATIVE_WRITE].concat();
        let length = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), length);
    }
}
