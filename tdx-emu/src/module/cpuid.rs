// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUID of L1: answered by the module from the machine's own values and the TD's configuration,
//! or left to L1 as #VE. L2's CPUID always goes to L1.
//!
//! Spec: TDX-BASE "CPUID Virtualization"; TDX-ABI "CPUID Virtualization Tables".

use core::sync::atomic::Ordering::SeqCst;

use super::{stop::Stop, vcpu::Vcpu, ve};
use crate::svm::{
    exit::{VmxExit, privilege_level},
    narrow::low_32,
    vmrun::{RAX, RBX, RCX, RDX},
};

/// Highest basic leaf.
const MAX_BASIC: u32 = 0x23;
/// Highest extended leaf.
const MAX_EXTENDED: u32 = 0x8000_0008;

/// Leaf 1 ECX: not in a TD (MONITOR, VMX, SMX, PCID) or decided below (OSXSAVE).
const LEAF1_ECX_HIDDEN: u32 = 1 << 3 | 1 << 5 | 1 << 6 | 1 << 17 | 1 << 27;
const LEAF1_ECX_X2APIC: u32 = 1 << 21;
const LEAF1_ECX_TSC_DEADLINE: u32 = 1 << 24;
const LEAF1_ECX_OSXSAVE: u32 = 1 << 27;
const LEAF1_ECX_HYPERVISOR: u32 = 1 << 31;
/// Leaf 7.0 EBX: SGX, MPX, AVX-512, PT; ECX: LA57, shadow stack, RDPID; EDX: IBT and others.
const LEAF7_EBX_HIDDEN: u32 = 1 << 2 | 1 << 14 | 0xdc23_0000 | 1 << 25;
const LEAF7_ECX_HIDDEN: u32 = 1 << 7 | 1 << 16 | 1 << 22 | 0x5842;
const LEAF7_EDX_HIDDEN: u32 = 0x0390_010c;

/// EAX, EBX, ECX, EDX.
type Answer = [u32; 4];

fn native(leaf: u32, subleaf: u32) -> Answer {
    let value = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [value.eax, value.ebx, value.ecx, value.edx]
}

/// CPUID of L1.
pub(crate) fn l1(vcpu: &mut Vcpu, exit: &VmxExit) -> Result<(), Stop> {
    let leaf = low_32(vcpu.gprs.0[RAX]);
    let subleaf = low_32(vcpu.gprs.0[RCX]);
    let hypervisor = (0x4000_0000..=0x4fff_ffff).contains(&leaf);
    let unknown = (MAX_BASIC < leaf && leaf < 0x8000_0000 && !hypervisor) || leaf > MAX_EXTENDED;
    let leaf = if unknown { MAX_BASIC } else { leaf };
    let selected = if privilege_level(vcpu.vmcb()) == 0 { 1 } else { 2 };
    let answer = answer(vcpu, leaf, subleaf).filter(|_| vcpu.cpuid_ve & selected == 0);
    let Some([eax, ebx, ecx, edx]) = answer else {
        return Err(Stop::Ve(ve::of_instruction(exit)));
    };
    let g = &mut vcpu.gprs.0;
    (g[RAX], g[RBX], g[RCX], g[RDX]) =
        (u64::from(eax), u64::from(ebx), u64::from(ecx), u64::from(edx));
    Ok(())
}

/// What the module answers; `None` is #VE.
fn answer(vcpu: &Vcpu, leaf: u32, subleaf: u32) -> Option<Answer> {
    Some(match leaf {
        0 => [MAX_BASIC, word(b"Genu"), word(b"ntel"), word(b"ineI")],
        1 => leaf_1(vcpu),
        4 if subleaf <= 4 => native(4, subleaf),
        7 if subleaf == 0 => leaf_7(),
        7 if subleaf <= 2 => [0; 4],
        0xd => leaf_d(vcpu, subleaf)?,
        3 | 5 | 8 | 0xa | 0xe | 0x11..=0x14 | 0x19 | 0x1c..=0x1e | 0x20 | 0x22 | 0x23 => [0; 4],
        0x15 => {
            let frequency = vcpu.td.config().ok()?.params.tsc_frequency;
            [1, u32::from(frequency), 25_000_000, 0]
        }
        0x21 if subleaf == 0 => [0, word(b"Inte"), word(b"    "), word(b"lTDX")],
        0x8000_0000 => [MAX_EXTENDED, 0, 0, 0],
        0x8000_0001 => {
            let [_, _, ecx, edx] = native(leaf, 0);
            [0, 0, ecx & 0x121, edx & 0x2c10_0800]
        }
        0x8000_0007 => [0, 0, 0, 1 << 8],
        0x8000_0008 => [48 | 48 << 8, 0, 0, 0],
        _ => return None,
    })
}

fn word(text: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*text)
}

fn leaf_1(vcpu: &Vcpu) -> Answer {
    const CR4_OSXSAVE: u64 = 1 << 18;
    const CLFLUSH_LINE: u32 = 8 << 8;
    let [eax, _, ecx, edx] = native(1, 0);
    let mut ecx = ecx & !LEAF1_ECX_HIDDEN;
    ecx |= LEAF1_ECX_X2APIC | LEAF1_ECX_TSC_DEADLINE | LEAF1_ECX_HYPERVISOR;
    if vcpu.vm().vmcs.cr4 & CR4_OSXSAVE != 0 {
        ecx |= LEAF1_ECX_OSXSAVE;
    }
    let vcpus = vcpu.td.vcpus.load(SeqCst);
    [eax, CLFLUSH_LINE | (vcpus & 0xff) << 16 | (vcpu.index & 0xff) << 24, ecx, edx | 1 << 9]
}

fn leaf_7() -> Answer {
    let [_, ebx, ecx, edx] = native(7, 0);
    [0, ebx & !LEAF7_EBX_HIDDEN, ecx & !LEAF7_ECX_HIDDEN, edx & !LEAF7_EDX_HIDDEN]
}

/// Extended state: the components that the TD's XFAM allows.
fn leaf_d(vcpu: &Vcpu, subleaf: u32) -> Option<Answer> {
    let xfam = vcpu.td.config().ok()?.params.xfam;
    let [eax, ebx, ecx, edx] = native(0xd, subleaf);
    Some(match subleaf {
        0 => [eax & low_32(xfam), ebx, ecx, 0],
        1 => [eax & 1, ebx, 0, 0],
        2..=31 if xfam & 1 << subleaf != 0 => [eax, ebx, ecx, edx],
        _ => [0; 4],
    })
}
