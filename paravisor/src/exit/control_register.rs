// SPDX-License-Identifier: MIT OR Apache-2.0
//! What L2 may write to CR0 and CR4, and what it reads back.
//!
//! The module keeps CR0.NE, CR4.MCE and CR4.VMXE at 1 and CR0.NW, CR0.CD at 0. L1 owns these bits by
//! its guest/host masks, so that L2 reads what it wrote: the read shadow holds L2's value, the
//! register the module's.
//!
//! Spec: SDM "Guest/Host Masks and Read Shadows for CR0 and CR4"; TDX-TDP "CR0 and CR4 handling".

/// CR0 bits that L1 owns: NE, NW, CD.
pub const CR0_OWNED: u64 = 1 << 5 | 1 << 29 | 1 << 30;
/// CR0 bits an L2 can hold: PE, MP, EM, TS, ET, NE, WP, AM, NW, CD, PG.
const CR0_KNOWN: u64 = 0x3f | 1 << 16 | 1 << 18 | 1 << 29 | 1 << 30 | 1 << 31;
/// CR4 bits that L1 owns: MCE, VMXE.
pub const CR4_OWNED: u64 = 1 << 6 | 1 << 13;
/// CR4 bits L2 may see set: what the module lets L1 write, and MCE.
const CR4_KNOWN: u64 = 0x03ff_1fbf | 1 << 6;

const CR0_PE: u64 = 1;
const CR0_NE: u64 = 1 << 5;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;

/// A value split into what the processor holds and what L2 reads back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// For the register itself.
    pub register: u64,
    /// For the read shadow.
    pub shadow: u64,
}

/// Accepts or refuses (#GP) a value that L2 moves to CR0. Reserved bits are ignored in the lower half
/// and refused in the upper one.
#[must_use]
pub const fn split_cr0(value: u64) -> Option<Split> {
    let paging_without_protection = value & CR0_PG != 0 && value & CR0_PE == 0;
    let not_write_through_alone = value & CR0_NW != 0 && value & CR0_CD == 0;
    if value >> 32 != 0 || paging_without_protection || not_write_through_alone {
        return None;
    }
    let value = value & CR0_KNOWN;
    Some(Split { register: (value & !CR0_OWNED) | CR0_NE, shadow: value })
}

/// Accepts or refuses (#GP) a value that L2 moves to CR4.
#[must_use]
pub const fn split_cr4(value: u64) -> Option<Split> {
    if value & !CR4_KNOWN != 0 {
        return None;
    }
    Some(Split { register: value | CR4_OWNED, shadow: value })
}

#[cfg(test)]
mod tests {
    use super::{split_cr0, split_cr4};

    #[test]
    fn l2_reads_what_it_wrote_and_the_processor_holds_what_the_module_wants() {
        let split = split_cr0(0xc000_0011).unwrap();
        assert_eq!((split.register, split.shadow), (0x8000_0031, 0xc000_0011));
        assert_eq!(split_cr0(0x9ffa_ffd1), split_cr0(0x8000_0011), "reserved bits are ignored");
        let split = split_cr4(0x20).unwrap();
        assert_eq!((split.register, split.shadow), (0x2060, 0x20));
    }

    #[test]
    fn combinations_no_processor_takes_are_refused() {
        assert_eq!(split_cr0(1 << 31), None, "paging without protection");
        assert_eq!(split_cr0(0x2000_0001), None, "NW without CD");
        assert_eq!(split_cr0(1 << 32), None, "reserved");
        assert_eq!(split_cr4(1 << 13), None, "VMXE");
        assert_eq!(split_cr4(1 << 63), None, "reserved");
    }
}
