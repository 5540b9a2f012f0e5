// SPDX-License-Identifier: MIT OR Apache-2.0
//! MSRs of L1: native, emulated, absent, or #VE.
//!
//! Spec: TDX-ABI "MSR Virtualization".

use super::virtualization::{GP, ve};
use crate::{
    tally::Tally,
    trap::{Trap, attempt},
};

pub(super) fn run(tally: &mut Tally) {
    for (name, msr) in RAISE_VE_ON_READ {
        let (trap, _) = rdmsr(msr);
        ve(tally, name, trap, (31, 0, 2));
    }
    for (name, msr) in RAISE_VE_ON_WRITE {
        ve(tally, name, wrmsr(msr, 0), (32, 0, 2));
    }
    for (name, msr) in ABSENT {
        tally.check(name, (rdmsr(msr).0, wrmsr(msr, 0)), (GP, GP));
    }
    for (name, msr, value) in REFUSED_WRITES {
        tally.check(name, wrmsr(msr, value), GP);
    }
    for (name, msr, mask, value) in READABLE {
        let (trap, got) = rdmsr(msr);
        tally.check(name, (trap, got & mask), (None, value));
    }
    for (name, msr) in NATIVE {
        tally.check(name, native(msr), (None, None, 0x1234_5678));
    }
    efer(tally);
    vmx(tally);
}

/// Reads; 0 if that raises an exception.
pub(super) fn rdmsr(msr: u32) -> (Option<Trap>, u64) {
    let (low, high): (u32, u32);
    let trap = attempt!(
        "rdmsr",
        in("ecx") msr,
        inout("eax") 0 => low,
        inout("edx") 0 => high
    );
    (trap, u64::from(high) << 32 | u64::from(low))
}

/// Writes.
pub(super) fn wrmsr(msr: u32, value: u64) -> Option<Trap> {
    attempt!("wrmsr", in("ecx") msr, in("rax") value & 0xffff_ffff, in("rdx") value >> 32)
}

/// Writes something and reads it back; what was there before returns.
fn native(msr: u32) -> (Option<Trap>, Option<Trap>, u64) {
    let (read, before) = rdmsr(msr);
    let write = wrmsr(msr, 0x1234_5678);
    let (_, after) = rdmsr(msr);
    wrmsr(msr, before);
    (read, write, after)
}

const RAISE_VE_ON_READ: [(&str, u32); 13] = [
    ("msr: IA32_PLATFORM_ID read", 0x17),
    ("msr: IA32_APIC_BASE read", 0x1b),
    ("msr: IA32_FEATURE_CONTROL read", 0x3a),
    ("msr: IA32_MTRRCAP read", 0xfe),
    ("msr: IA32_MCG_CAP read", 0x179),
    ("msr: MTRR read", 0x200),
    ("msr: x2APIC ID read", 0x802),
    ("msr: x2APIC version read", 0x803),
    ("msr: x2APIC ICR read", 0x830),
    ("msr: x2APIC LVT timer read", 0x832),
    ("msr: x2APIC current count read", 0x839),
    ("msr: CSTAR read", 0xc000_0083),
    ("msr: 0x40000000 read", 0x4000_0000),
];

const RAISE_VE_ON_WRITE: [(&str, u32); 8] = [
    ("msr: IA32_TIME_STAMP_COUNTER write", 0x10),
    ("msr: IA32_APIC_BASE write", 0x1b),
    ("msr: IA32_MISC_ENABLE write", 0x1a0),
    ("msr: x2APIC SVR write", 0x80f),
    ("msr: x2APIC ICR write", 0x830),
    ("msr: x2APIC initial count write", 0x838),
    ("msr: CSTAR write", 0xc000_0083),
    ("msr: 0xc0010015 write", 0xc001_0015),
];

const ABSENT: [(&str, u32); 18] = [
    ("msr: IA32_SGXLEPUBKEYHASH0 is absent", 0x8c),
    ("msr: 0x98 is absent", 0x98),
    ("msr: 0x9a is absent", 0x9a),
    ("msr: 0x9e is absent", 0x9e),
    ("msr: IA32_PMC0 is absent", 0xc1),
    ("msr: IA32_PERFEVTSEL0 is absent", 0x186),
    ("msr: 0x195 is absent", 0x195),
    ("msr: 0x276 is absent", 0x276),
    ("msr: IA32_FIXED_CTR0 is absent", 0x309),
    ("msr: IA32_PERF_GLOBAL_CTRL is absent", 0x38f),
    ("msr: IA32_PEBS_ENABLE is absent", 0x3f1),
    ("msr: IA32_SGX_SVN_STATUS is absent", 0x500),
    ("msr: IA32_BNDCFGS is absent", 0xd90),
    ("msr: IA32_PASID is absent", 0xd93),
    ("msr: IA32_UINTR_RR is absent", 0x985),
    ("msr: LBR depth is absent", 0x14cf),
    ("msr: x2APIC 0x800 is absent", 0x800),
    ("msr: x2APIC 0x8ff is absent", 0x8ff),
];

const REFUSED_WRITES: [(&str, u32, u64); 10] = [
    ("msr: IA32_XAPIC_DISABLE_STATUS is read-only", 0xbd, 0),
    ("msr: IA32_ARCH_CAPABILITIES is read-only", 0x10a, 0),
    ("msr: IA32_PERF_CAPABILITIES is read-only", 0x345, 0),
    ("msr: IA32_VMX_BASIC is read-only", 0x480, 0),
    ("msr: x2APIC PPR is read-only", 0x80a, 0),
    ("msr: x2APIC EOI takes 0 only", 0x80b, 1),
    ("msr: x2APIC ISR is read-only", 0x810, 0),
    ("msr: x2APIC IRR is read-only", 0x827, 0),
    ("msr: x2APIC SELF_IPI has 8 bits", 0x83f, 0x151),
    ("msr: XSS beyond XFAM", 0xda0, 1 << 11),
];

const READABLE: [(&str, u32, u64, u64); 6] = [
    ("msr: IA32_XAPIC_DISABLE_STATUS", 0xbd, u64::MAX, 1),
    ("msr: IA32_MISC_ENABLE without PERFMON", 0x1a0, 1 << 7 | 1 << 12, 1 << 12),
    ("msr: IA32_PERF_CAPABILITIES without PERFMON", 0x345, u64::MAX, 0),
    ("msr: IA32_PAT", 0x277, u64::MAX, 0x0007_0406_0007_0406),
    ("msr: XSS", 0xda0, u64::MAX, 0),
    ("msr: FMASK as it starts", 0xc000_0084, u64::MAX, 0x2_0200),
];

const NATIVE: [(&str, u32); 5] = [
    ("msr: SYSENTER_ESP is native", 0x175),
    ("msr: SYSENTER_EIP is native", 0x176),
    ("msr: LSTAR is native", 0xc000_0082),
    ("msr: KERNEL_GS_BASE is native", 0xc000_0102),
    ("msr: TSC_AUX is native", 0xc000_0103),
];

fn efer(tally: &mut Tally) {
    const EFER: u32 = 0xc000_0080;
    tally.check("efer: NXE, LMA, LME, SCE", rdmsr(EFER), (None, 0xd01));
    ve(tally, "efer: NXE cannot be cleared", wrmsr(EFER, 0x501), (32, 0, 2));
    tally.check("efer: SCE can", (wrmsr(EFER, 0xd00), rdmsr(EFER)), (None, (None, 0xd00)));
    tally.check("efer: LMA is ignored", (wrmsr(EFER, 0x901), rdmsr(EFER)), (None, (None, 0xd01)));
}

/// The virtual VMX capabilities.
fn vmx(tally: &mut Tally) {
    let rows = [
        ("vmx: BASIC", 0x480, 0x01c0_0000_0000_0000),
        ("vmx: MISC", 0x485, 0x6004_40e0),
        ("vmx: CR0_FIXED0", 0x486, 0x20),
        ("vmx: CR0_FIXED1", 0x487, 0x8005_003f),
        ("vmx: CR4_FIXED0", 0x488, 0x2040),
        ("vmx: TRUE_PINBASED", 0x48d, 0x29_0000_0029),
        ("vmx: TRUE_EXIT", 0x48f, 0x1f3c_8204_1f3c_8204),
        ("vmx: VMFUNC", 0x491, 0),
        ("vmx: PROCBASED3", 0x492, 0x8e),
    ];
    for (name, msr, value) in rows {
        tally.check(name, rdmsr(msr), (None, value));
    }
    for (name, msr) in [("vmx: PINBASED", 0x481), ("vmx: VMCS_ENUM", 0x48a), ("vmx: 0x493", 0x493)]
    {
        ve(tally, name, rdmsr(msr).0, (31, 0, 2));
    }
}
