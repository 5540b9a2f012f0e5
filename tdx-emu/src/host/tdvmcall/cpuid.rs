// SPDX-License-Identifier: MIT OR Apache-2.0
//! `Instruction.CPUID`: R12 = leaf, R13 = subleaf; R12 to R15 = EAX, EBX, ECX, EDX. Never fails.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<Instruction.CPUID>`".

use tdcall::{Registers, tdvmcall::VmcallStatus};

use crate::host::{hyperv, td::Td, vcpu::Vcpu};

const SIGNATURE: u64 = 0x4000_0000;
const FEATURES: u64 = 0x4000_0001;
const TOPOLOGY: [u64; 2] = [0xb, 0x1f];

pub(super) fn answer(td: &Td, vcpu: &Vcpu, registers: &mut Registers) -> VmcallStatus {
    let leaf = registers.r12 & 0xffff_ffff;
    let of_hyperv = td.hyperv.as_ref().and_then(|_| hyperv::cpuid::leaf(leaf));
    let values = match leaf {
        SIGNATURE if of_hyperv.is_none() => {
            let [ebx, ecx, edx] = [*b"KVMK", *b"VMKV", *b"M\0\0\0"].map(u32::from_le_bytes);
            [FEATURES, u64::from(ebx), u64::from(ecx), u64::from(edx)]
        }
        leaf if TOPOLOGY.contains(&leaf) => topology(td, vcpu, registers.r13 & 0xffff_ffff),
        _ => of_hyperv.unwrap_or([0; 4]),
    };
    [registers.r12, registers.r13, registers.r14, registers.r15] = values;
    VmcallStatus::SUCCESS
}

/// One thread a core, all cores in one package; the x2APIC id is the index.
fn topology(td: &Td, vcpu: &Vcpu, subleaf: u64) -> [u64; 4] {
    const THREAD: u64 = 1 << 8;
    const CORE: u64 = 2 << 8;
    let (cpus, id) = (td.vcpus.len() as u64, vcpu.index as u64);
    match subleaf {
        0 => [0, 1, THREAD | subleaf, id],
        1 => [u64::from(cpus.next_power_of_two().trailing_zeros()), cpus, CORE | subleaf, id],
        _ => [0, 0, subleaf, id],
    }
}
