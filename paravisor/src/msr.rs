// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's model-specific registers: which it accesses without L1, and what the others read as.
//!
//! Registers without an exit are those the module switches with the VM, or shares between L1 and L2
//! while L1 never uses them. Of the others some are L1's own models, some have a fixed value, and some
//! refuse what a processor refuses. What is in no list reads as zero and takes writes silently: kernels
//! probe registers of processors they have heard of, and a fault there is noise at best. Such accesses
//! are counted, and told of within bounds: see `unknown`.
//!
//! Spec: TDX-BASE "MSR Handling"; SDM volume 4.

/// Which unknown registers are worth a line.
pub mod unknown;

/// Registers L2 reads and writes by itself.
pub const NATIVE: &[u32] = &[
    0x48,
    0x174,
    0x175,
    0x176,
    0x277,
    0x600,
    0xda0,
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
    /// Reads as this value; a write is #GP.
    ReadOnly(u64),
    /// Reads as zero; a write outside these bits is #GP, any other is dropped.
    Checked(u64),
    /// A read is #GP; so is a write outside these bits, and any other has no effect.
    Command(u64),
    /// Nothing that L1 knows: reads as zero, writes are dropped and counted.
    Unknown,
}

/// Fast strings on, branch trace and precise sampling unavailable.
const MISC_ENABLE: u64 = 1 << 0 | 1 << 11 | 1 << 12;
/// Locked, with nothing enabled.
const FEATURE_CONTROL: u64 = 1;
/// Branch trace and single steps by branch; Linux sets the second when it is asked to step.
const DEBUG_CONTROL: u64 = 3;

/// What `msr` is to L1.
#[must_use]
pub const fn classify(msr: u32) -> Register {
    match msr {
        0x1b => Register::ApicBase,
        0x800..=0x8ff => Register::Apic(msr),
        0x6e0 => Register::TscDeadline,
        0xc000_0080 => Register::Efer,
        0x1a0 => Register::Constant(MISC_ENABLE),
        0x3a => Register::ReadOnly(FEATURE_CONTROL),
        // Platform id, SMI count, core and architectural capabilities, platform information, MTRR,
        // machine-check and performance capabilities: none, and nothing a kernel may write.
        0x17 | 0x34 | 0xcf | 0x10a | 0xce | 0xfe | 0x179 | 0x345 => Register::ReadOnly(0),
        // IBPB, L1D_FLUSH.
        0x49 | 0x10b => Register::Command(1),
        0x1d9 => Register::Checked(DEBUG_CONTROL),
        // TSC, microcode, power on, features and their control, energy, frequency, C states.
        0x10 | 0x8b | 0x79 | 0x2a | 0x140 | 0x64e | 0x606 | 0x611 | 0x619 | 0x639 | 0x641 | 0x64d
        | 0xe2 | 0x4e
        // TSC_ADJUST, speculation control, TSX.
        | 0x3b | 0x48 | 0x122 | 0x123
        // MTRRs.
        | 0x200..=0x20f | 0x250 | 0x258 | 0x259 | 0x268..=0x26f | 0x2ff
        // Machine check.
        | 0x17a | 0x17b | 0x400..=0x47f
        // Performance counters, offcore events.
        | 0xc1..=0xc8 | 0x186..=0x18d | 0x38d..=0x390 | 0x1a6 | 0x1a7
        // Performance status and control, thermal.
        | 0x198 | 0x199 | 0x19a..=0x19c | 0x1a2 | 0x1ad | 0x1b0 | 0x1b1
        // Last branches.
        | 0x1c8 | 0x1c9
        // CSTAR, AMD's own.
        | 0xc000_0083 | 0xc001_0015 | 0xc001_001f | 0xc001_1029 => Register::Constant(0),
        _ => Register::Unknown,
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
    fn what_nobody_knows_is_unknown() {
        for msr in [0, 0x480, 0x4000_0000, 0xc000_0104, 0xffff_ffff] {
            assert_eq!(classify(msr), Register::Unknown);
        }
    }

    #[test]
    fn what_kernels_probe_without_a_need_is_known() {
        // Linux 6.1 and 6.12 on a processor of this kind, from the reset to the shell.
        const PROBED: &[u32] = &[
            0x1b,
            0x34,
            0x3a,
            0x3b,
            0x48,
            0x4e,
            0x8b,
            0x17,
            0xce,
            0xcf,
            0xfe,
            0x10a,
            0x122,
            0x123,
            0x140,
            0x179,
            0x17a,
            0x17b,
            0x1a0,
            0x1d9,
            0x200,
            0x20f,
            0x250,
            0x258,
            0x259,
            0x268,
            0x26f,
            0x2ff,
            0x345,
            0x400,
            0x425,
            0x64e,
            0x6e0,
            0xc1,
            0x186,
            0x38d,
            0xc000_0083,
            0xc001_1029,
        ];
        for msr in PROBED {
            assert_ne!(classify(*msr), Register::Unknown, "{msr:#x}");
        }
    }

    #[test]
    fn capabilities_cannot_be_written_and_commands_cannot_be_read() {
        for msr in [0x3a, 0xfe, 0x10a, 0x179, 0x345] {
            assert!(matches!(classify(msr), Register::ReadOnly(_)), "{msr:#x}");
        }
        assert_eq!((classify(0x49), classify(0x10b)), (Register::Command(1), Register::Command(1)));
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
