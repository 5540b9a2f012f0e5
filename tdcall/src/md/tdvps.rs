// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of the virtual CPU, but those of a VMCS of an L2 VM.
//!
//! L1 has no access to its own VMCS, registers or virtual-APIC page.
//!
//! Spec: TDX-ABI, "VCPU-Scope Metadata Fields: TDVPS".

use bitflags::bitflags;

use super::FieldId;
use crate::VmIndex;

/// `VCPU_INDEX`.
pub const VCPU_INDEX: FieldId = FieldId::from_bits(0xA020_0002_0000_0002);
/// `CPUID_SUPERVISOR_VE`: CPUID in supervisor mode always raises #VE.
pub const CPUID_SUPERVISOR_VE: FieldId = FieldId::from_bits(0xA020_0000_0000_0007);
/// `CPUID_USER_VE`: CPUID in user mode always raises #VE.
pub const CPUID_USER_VE: FieldId = FieldId::from_bits(0xA020_0000_0000_0008);
/// `CPUID_CONTROL`, first of 128: which CPUID leaves raise #VE.
pub const CPUID_CONTROL: FieldId = FieldId::from_bits(0xA120_0000_0000_0000);

/// `ASSOC_LPID`, for the host.
pub const ASSOC_LPID: FieldId = FieldId::from_bits(0xA020_0002_0000_0004);
/// `VCPU_EPOCH`, for the host.
pub const VCPU_EPOCH: FieldId = FieldId::from_bits(0xA020_0003_0000_0006);
/// `VCPU_STATE_DETAILS`, for the host: bit 0 tells that L1 has an interrupt it could take.
pub const VCPU_STATE_DETAILS: FieldId = FieldId::from_bits(0x9120_0003_0000_0100);
/// `PEND_NMI`, for the host.
pub const PEND_NMI: FieldId = FieldId::from_bits(0x2020_0000_0000_000B);
/// Posted-interrupt notification vector of L1, for the host.
pub const L1_POSTED_INTERRUPT_NOTIFICATION_VECTOR: FieldId =
    FieldId::from_bits(0x0024_0001_0000_0002);
/// Posted-interrupt descriptor address of L1, for the host.
pub const L1_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: FieldId =
    FieldId::from_bits(0x0024_0003_0000_2016);
/// Pin-based controls of L1, for the host: bit 7 enables posted interrupts.
pub const L1_PIN_BASED_CONTROLS: FieldId = FieldId::from_bits(0x0024_0002_0000_4000);
/// Secondary controls of L1, for the host.
pub const L1_SECONDARY_CONTROLS: FieldId = FieldId::from_bits(0x0024_0002_0000_401E);
/// Shared EPT pointer of L1, for the host.
pub const L1_SHARED_EPTP: FieldId = FieldId::from_bits(0x0024_0003_0000_203C);
/// TSC offset of the TD, for the host.
pub const L1_TSC_OFFSET: FieldId = FieldId::from_bits(0x0024_0003_0000_2010);
/// TSC multiplier of the TD, for the host.
pub const L1_TSC_MULTIPLIER: FieldId = FieldId::from_bits(0x0024_0003_0000_2032);
/// Notify window of L1, for the host.
pub const L1_NOTIFY_WINDOW: FieldId = FieldId::from_bits(0x0024_0002_0000_4024);

/// Words of an MSR bitmap.
pub const MSR_BITMAP_WORDS: u16 = 512;

/// `TSC_DEADLINE`: the timer of the L2 VM is off.
pub const TSC_DEADLINE_OFF: u64 = u64::MAX;

bitflags! {
    /// `L2_CTLS`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct L2Ctls: u64 {
        /// The L2 VM sees shared memory.
        const ENABLE_SHARED_EPTP = 1 << 0;
        /// `TDG.VP.VMCALL` of the L2 VM goes to the host, not to L1.
        const ENABLE_TDVMCALL = 1 << 1;
        /// Extended #VE; no effect in module 1.5.01.
        const ENABLE_EXTENDED_VE = 1 << 2;
    }
}

/// Returns `L2_CTLS` of `vm`: an [`L2Ctls`].
#[must_use]
pub const fn l2_ctls(vm: VmIndex) -> FieldId {
    FieldId::from_bits(0xA020_0003_0000_0050).element(vm.get() as u32)
}

/// Returns `TSC_DEADLINE` of `vm`: when, in its TSC, the L2 VM is left with
/// [`PREEMPTION_TIMER_EXPIRED`](crate::ExitReason::PREEMPTION_TIMER_EXPIRED).
#[must_use]
pub const fn tsc_deadline(vm: VmIndex) -> FieldId {
    FieldId::from_bits(0xA020_0003_0000_0058).element(vm.get() as u32)
}

/// Returns word `word` of the MSR bitmap of `vm`, if there is such a word.
///
/// A set bit asks for an exit to L1; what the module itself intercepts stays intercepted.
#[must_use]
pub const fn l2_msr_bitmap(vm: VmIndex, word: u16) -> Option<FieldId> {
    if word >= MSR_BITMAP_WORDS {
        return None;
    }
    let first = FieldId::from_bits(0x2520_0003_0000_0000);
    let class = first.class() + 8 * (vm.get() - 1);
    Some(first.with_class(class).element(word as u32))
}

/// Where in the MSR bitmap of an L2 VM the accesses to one MSR are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MsrBit {
    /// The word that decides about reads.
    pub read_word: u16,
    /// The word that decides about writes.
    pub write_word: u16,
    /// The bit in both words.
    pub mask: u64,
}

impl MsrBit {
    /// Returns the place of `msr`, or nothing if the bitmap does not cover it, so that every access
    /// exits to L1.
    #[must_use]
    pub const fn of(msr: u32) -> Option<Self> {
        let bank = match msr {
            0..=0x1FFF => 0,
            0xC000_0000..=0xC000_1FFF => 128,
            _ => return None,
        };
        let low = msr & 0x1FFF;
        let read_word = bank + (low >> 6) as u16;
        Some(Self { read_word, write_word: read_word + 256, mask: 1 << (low & 63) })
    }
}

#[cfg(test)]
mod tests {
    use super::{MsrBit, l2_msr_bitmap};
    use crate::VmIndex;

    #[test]
    fn the_bitmap_has_512_words_a_vm() {
        let last = l2_msr_bitmap(VmIndex::VM3, 511).expect("the last word");
        assert_eq!(last.into_bits(), 0x3520_0003_0000_01FF);
        assert_eq!(l2_msr_bitmap(VmIndex::VM1, 512), None);
    }

    #[test]
    fn msrs_are_found_in_the_architectural_layout() {
        let eoi = MsrBit::of(0x80B).expect("covered");
        assert_eq!(eoi, MsrBit { read_word: 32, write_word: 288, mask: 1 << 11 });
        let efer = MsrBit::of(0xC000_0080).expect("covered");
        assert_eq!(efer, MsrBit { read_word: 130, write_word: 386, mask: 1 });
        assert_eq!(MsrBit::of(0x2000), None);
        assert_eq!(MsrBit::of(0x4000_0000), None);
    }
}
