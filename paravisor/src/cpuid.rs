// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processor that L2 sees: the module's values, less what L1 does not offer.
//!
//! L2 is a plain virtual machine with x2APIC and, unless it was asked for otherwise, the signature of
//! KVM without any of its features: Linux then keeps x2APIC in physical mode and asks for nothing
//! else. The leaf that tells of TDX is never there: a guest that finds it would deal with the module
//! itself.
//!
//! Spec: SDM volume 2, "CPUID"; TDX-BASE "CPUID Virtualization".

use crate::{hyperv, identity::Identity, width::low32};

/// EAX, EBX, ECX, EDX.
pub type Answer = [u32; 4];

/// What an answer depends on besides the leaf.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    /// The CPU's APIC id.
    pub id: u32,
    /// Number of CPUs.
    pub cpus: u32,
    /// L2's CR4.OSXSAVE.
    pub osxsave: OsXsave,
    /// The hypervisor that L2 sees.
    pub identity: Identity,
    /// The bit that makes an address shared.
    pub shared_bit: u64,
}

/// Whether L2 has switched XSAVE on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OsXsave {
    /// It has.
    On,
    /// It has not.
    Off,
}

const MAX_BASIC: u32 = 0x16;
const MAX_HYPERVISOR: u32 = 0x4000_0001;
const MAX_EXTENDED: u32 = 0x8000_0008;

/// Leaf 1 ECX: DTES64, MONITOR, DS-CPL, VMX, SMX, EST, TM2, CNXT-ID, SDBG, PDCM, DCA, OSXSAVE.
const HIDDEN_1_ECX: u32 = 1 << 2
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 7
    | 1 << 8
    | 1 << 10
    | 1 << 11
    | 1 << 15
    | 1 << 18
    | 1 << 27;
/// Leaf 1 ECX: x2APIC, TSC deadline, hypervisor.
const SHOWN_1_ECX: u32 = 1 << 21 | 1 << 24 | 1 << 31;
const OSXSAVE: u32 = 1 << 27;
/// Leaf 1 EDX: DS, ACPI, HTT, TM, PBE.
const HIDDEN_1_EDX: u32 = 1 << 21 | 1 << 22 | 1 << 28 | 1 << 29 | 1 << 31;
/// Leaf 7 EBX: TSC_ADJUST. The register reads as zero and stays so, because L2's TSC is the TD's. A
/// kernel that has it need not watch the TSC with another clock, of which there is none but the tick.
const SHOWN_7_EBX: u32 = 1 << 1;
/// Leaf 7 EBX: SGX, HLE, RTM, PQM, PQE, PT.
const HIDDEN_7_EBX: u32 = 1 << 2 | 1 << 4 | 1 << 11 | 1 << 12 | 1 << 15 | 1 << 25;
/// Leaf 7 ECX: PKU, OSPKE, WAITPKG, CET_SS, TME, LA57, KL, BUS_LOCK, ENQCMD, SGX_LC, PKS.
const HIDDEN_7_ECX: u32 = 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 7
    | 1 << 13
    | 1 << 16
    | 1 << 23
    | 1 << 24
    | 1 << 29
    | 1 << 30
    | 1 << 31;
/// Leaf 7 EDX: UINTR, RTM_ALWAYS_ABORT, RTM_FORCE_ABORT, PCONFIG, ARCH_LBR, CET_IBT, AMX ×3.
const HIDDEN_7_EDX: u32 =
    1 << 5 | 1 << 11 | 1 << 13 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 22 | 1 << 24 | 1 << 25;
/// Leaf 6 EAX: the APIC timer runs in every power state.
const ALWAYS_RUNNING_TIMER: u32 = 1 << 2;

/// Answers `leaf` and `subleaf`. `native` asks L1's own processor, and only for leaves that the
/// module has values for: any other would be #VE.
pub fn answer(
    (leaf, subleaf): (u32, u32),
    processor: Processor,
    native: impl Fn(u32, u32) -> Answer,
) -> Answer {
    match leaf {
        0 => with(native(0, 0), 0, MAX_BASIC),
        1 => features(processor, native(1, 0)),
        4 if subleaf < 4 => native(4, subleaf),
        6 => [ALWAYS_RUNNING_TIMER, 0, 0, 0],
        7 if subleaf == 0 => {
            let [_, ebx, ecx, edx] = native(7, 0);
            [0, ebx & !HIDDEN_7_EBX | SHOWN_7_EBX, ecx & !HIDDEN_7_ECX, edx & !HIDDEN_7_EDX]
        }
        0xb => topology(processor, subleaf),
        0xd if subleaf < 19 => native(0xd, subleaf),
        0x15 => native(0x15, 0),
        0x16 => frequencies(native(0x15, 0)),
        0x4000_0000..=0x4000_00ff => hypervisor(leaf, processor),
        0x8000_0000 => [MAX_EXTENDED, 0, 0, 0],
        0x8000_0001 | 0x8000_0007 | 0x8000_0008 => native(leaf, 0),
        _ => [0; 4],
    }
}

fn features(processor: Processor, native: Answer) -> Answer {
    let [eax, ebx, ecx, edx] = native;
    let osxsave = if processor.osxsave == OsXsave::On { OSXSAVE } else { 0 };
    [
        eax,
        ebx & 0x0000_ffff | processor.id << 24,
        ecx & !HIDDEN_1_ECX | SHOWN_1_ECX | osxsave,
        edx & !HIDDEN_1_EDX,
    ]
}

/// One thread a core, all cores in one package.
fn topology(processor: Processor, subleaf: u32) -> Answer {
    const THREADS: u32 = 1 << 8;
    const CORES: u32 = 2 << 8;
    let bits = processor.cpus.next_power_of_two().trailing_zeros();
    match subleaf {
        0 => [0, 1, THREADS, processor.id],
        1 => [bits, processor.cpus, CORES | 1, processor.id],
        _ => [0, 0, subleaf & 0xff, processor.id],
    }
}

/// The processor's frequency in MHz, base and highest, by the ratio to its crystal; and the bus's. A
/// kernel without it measures, by a timer that is not there: some 100,000 port accesses.
fn frequencies([denominator, numerator, crystal, _]: Answer) -> Answer {
    const BUS: u32 = 100;
    const FIELD: u64 = 0xffff;
    let hertz = u64::from(crystal) * u64::from(numerator) / u64::from(denominator.max(1));
    let megahertz = low32((hertz / 1_000_000).min(FIELD));
    [megahertz, megahertz, BUS, 0]
}

fn hypervisor(leaf: u32, processor: Processor) -> Answer {
    match (processor.identity, leaf) {
        (Identity::HyperV, _) => hyperv::cpuid::answer(leaf, processor.cpus, processor.shared_bit),
        (Identity::Kvm, 0x4000_0000) => signature(),
        (Identity::Kvm, _) => [0; 4],
    }
}

fn signature() -> Answer {
    let word = |bytes: [u8; 4]| u32::from_le_bytes(bytes);
    [MAX_HYPERVISOR, word(*b"KVMK"), word(*b"VMKV"), word(*b"M\0\0\0")]
}

const fn with(mut answer: Answer, register: usize, value: u32) -> Answer {
    answer[register] = value;
    answer
}

#[cfg(test)]
mod tests {
    use super::{Answer, OsXsave, Processor, answer};
    use crate::identity::Identity;

    const CPU: Processor = Processor {
        id: 3,
        cpus: 4,
        osxsave: OsXsave::Off,
        identity: Identity::Kvm,
        shared_bit: 1 << 47,
    };

    fn ones(_: u32, _: u32) -> Answer {
        [u32::MAX; 4]
    }

    #[test]
    fn l2_is_a_virtual_machine_with_x2apic_and_without_vmx() {
        let [_, ebx, ecx, _] = answer((1, 0), CPU, ones);
        assert_eq!(ebx >> 24, 3);
        assert_eq!(ecx & (1 << 31 | 1 << 21), 1 << 31 | 1 << 21);
        assert_eq!(ecx & (1 << 5 | 1 << 3 | 1 << 27), 0);
        let [_, _, ecx, _] = answer((1, 0), Processor { osxsave: OsXsave::On, ..CPU }, ones);
        assert_eq!(ecx >> 27 & 1, 1);
    }

    #[test]
    fn the_hypervisor_has_the_signature_of_kvm_and_no_features() {
        let [max, b, c, d] = answer((0x4000_0000, 0), CPU, ones);
        assert_eq!(max, 0x4000_0001);
        let bytes = [b.to_le_bytes(), c.to_le_bytes(), d.to_le_bytes()].concat();
        assert_eq!(bytes, b"KVMKVMKVM\0\0\0");
        assert_eq!(answer((0x4000_0001, 0), CPU, ones), [0; 4]);
    }

    #[test]
    fn the_hypervisor_is_the_one_that_was_asked_for() {
        let processor = Processor { identity: Identity::HyperV, ..CPU };
        assert_eq!(answer((0x4000_0001, 0), processor, ones)[0], 0x3123_7648);
        assert_eq!(answer((0x4000_0005, 0), processor, ones)[0], 4);
        assert_eq!(answer((0x21, 0), processor, ones), [0; 4]);
        assert_eq!(answer((0x4000_0001, 0), CPU, ones)[0], 0);
    }

    #[test]
    fn the_tsc_needs_no_watching() {
        const INVARIANT: u32 = 1 << 8;
        let native = |leaf, _| [0, 0, 0, if leaf == 0x8000_0007 { INVARIANT } else { 0 }];
        assert_eq!(answer((7, 0), CPU, native)[1], 1 << 1, "nobody has adjusted it");
        assert_eq!(answer((0x8000_0007, 0), CPU, native)[3], INVARIANT);
    }

    #[test]
    fn there_is_no_sign_of_tdx_and_nothing_beyond_the_last_leaf() {
        assert_eq!(answer((0x21, 0), CPU, ones), [0; 4]);
        assert_eq!(answer((0x17, 0), CPU, ones), [0; 4]);
        assert_eq!(answer((0, 0), CPU, ones)[0], 0x16);
    }

    #[test]
    fn leaves_that_are_virtualization_exceptions_are_never_asked_for() {
        const FAULTING: &[u32] =
            &[2, 9, 0xb, 0xc, 0xf, 0x10, 0x16, 0x17, 0x18, 0x1a, 0x1b, 0x8000_0006];
        let native = |leaf, _| {
            assert!(!FAULTING.contains(&leaf) && !(0x4000_0000..0x5000_0000).contains(&leaf));
            [0; 4]
        };
        for leaf in (0..0x30).chain(0x4000_0000..0x4000_0010).chain(0x8000_0000..0x8000_0010) {
            answer((leaf, 5), CPU, native);
        }
    }

    #[test]
    fn the_frequency_is_that_of_crystal_and_ratio() {
        let of = |ratio| {
            answer((0x16, 0), CPU, move |leaf, _| if leaf == 0x15 { ratio } else { [0; 4] })
        };
        assert_eq!(of([1, 40, 25_000_000, 0]), [1000, 1000, 100, 0]);
        assert_eq!(of([2, 168, 25_000_000, 0])[0], 2100);
        assert_eq!(of([0; 4])[0], 0, "not known");
        assert_eq!(of([1, u32::MAX, u32::MAX, 0])[0], 0xffff);
    }

    #[test]
    fn topology_ends_with_an_empty_level() {
        assert_eq!(answer((0xb, 1), CPU, ones), [2, 4, 0x201, 3]);
        assert_eq!(answer((0xb, 2), CPU, ones), [0, 0, 2, 3]);
    }
}
