// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUID of L1, and `TDG.VP.CPUIDVE.SET`.
//!
//! Spec: TDX-ABI "CPUID Virtualization"; "TDG.VP.CPUIDVE.SET Leaf".

use tdcall::Registers;

use super::virtualization::ve;
use crate::{
    tally::{JUNK, Tally},
    trap::{Trap, attempt},
};

pub(super) fn run(tally: &mut Tally) {
    for (name, leaf, subleaf) in RAISE_VE {
        ve(tally, name, cpuid(leaf, subleaf).0, (10, 0, 2));
    }
    for (name, leaf, subleaf, masks, wanted) in ANSWERED {
        let (trap, got) = cpuid(leaf, subleaf);
        let got: [u64; 4] = core::array::from_fn(|index| got[index] & masks[index]);
        tally.check(name, (trap, got), (None, wanted));
    }
    set(tally);
}

const RAISE_VE: [(&str, u32, u32); 12] = [
    ("cpuid: leaf 2", 2, 0),
    ("cpuid: leaf 4.5", 4, 5),
    ("cpuid: leaf 6", 6, 0),
    ("cpuid: leaf 7.3", 7, 3),
    ("cpuid: leaf 0xb", 0xb, 0),
    ("cpuid: leaf 0x16", 0x16, 0),
    ("cpuid: leaf 0x1f", 0x1f, 0),
    ("cpuid: leaf 0x21.1", 0x21, 1),
    ("cpuid: leaf 0x40000000", 0x4000_0000, 0),
    ("cpuid: leaf 0x4fffffff", 0x4fff_ffff, 0),
    ("cpuid: leaf 0x80000002", 0x8000_0002, 0),
    ("cpuid: leaf 0x80000006", 0x8000_0006, 0),
];

const ALL: [u64; 4] = [u64::MAX; 4];

/// Leaf, subleaf, what is looked at, what it must be.
type Row = (&'static str, u32, u32, [u64; 4], [u64; 4]);

const ANSWERED: [Row; 10] = [
    ("cpuid: leaf 0", 0, 0, ALL, [0x23, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
    // The index of this CPU; hypervisor, no VMX, no SMX; APIC.
    (
        "cpuid: leaf 1",
        1,
        0,
        [!0xffff_ffff, !0x00ff_ffff, !0xffff_ffff | 1 << 31 | 3 << 5, !0xffff_ffff | 1 << 9],
        [0, 0, 1 << 31, 1 << 9],
    ),
    ("cpuid: leaf 3", 3, 0, ALL, [0; 4]),
    ("cpuid: leaf 0x15", 0x15, 0, [u64::MAX, 0, u64::MAX, u64::MAX], [1, 0, 25_000_000, 0]),
    ("cpuid: leaf 0x21", 0x21, 0, ALL, [0, 0x6574_6e49, 0x2020_2020, 0x5844_546c]),
    ("cpuid: leaf 0x22", 0x22, 0, ALL, [0; 4]),
    ("cpuid: leaf 0x24 is answered as 0x23", 0x24, 0, ALL, [0; 4]),
    ("cpuid: leaf 0x80000009 is answered as 0x23", 0x8000_0009, 0, ALL, [0; 4]),
    ("cpuid: leaf 0x80000000", 0x8000_0000, 0, [u64::MAX, 0, 0, 0], [0x8000_0008, 0, 0, 0]),
    ("cpuid: leaf 0x80000007", 0x8000_0007, 0, [0, 0, 0, 1 << 8], [0, 0, 0, 1 << 8]),
];

/// All 64 bits of the answer. RBX cannot be an operand: it is kept in another register meanwhile.
fn cpuid(leaf: u32, subleaf: u32) -> (Option<Trap>, [u64; 4]) {
    let (a, b, c, d): (u64, u64, u64, u64);
    let trap = attempt!(
        "cpuid\n xchg rbx, {b}",
        b = out(reg) b,
        inout("rax") 0xffff_ffff_0000_0000 | u64::from(leaf) => a,
        inout("rcx") 0xffff_ffff_0000_0000 | u64::from(subleaf) => c,
        inout("rdx") u64::MAX => d
    );
    (trap, [a, b, c, d])
}

fn set(tally: &mut Tally) {
    let call = |rcx| Registers { rax: 5, rcx, ..JUNK };
    tally.status("cpuidve.set: bit 2 is reserved", call(4), 0xc000_0100_0000_0001);
    tally.status("cpuidve.set: bit 63 is reserved", call(1 << 63), 0xc000_0100_0000_0001);
    tally.status("cpuidve.set: supervisor", call(1), 0);
    ve(tally, "cpuidve.set: every leaf is #VE then", cpuid(0x21, 0).0, (10, 0, 2));
    tally.status("cpuidve.set: user", call(2), 0);
    tally.check("cpuidve.set: supervisor is spared then", cpuid(0x21, 0).0, None);
    tally.status("cpuidve.set: nobody", call(0), 0);
}
