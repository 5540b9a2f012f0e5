// SPDX-License-Identifier: MIT OR Apache-2.0
//! What crosses the border between L1 and L2 in registers: the flags of an entry, the report of an
//! exit.
//!
//! Fields that the processor leaves undefined for a reason are passed on as they are.
//!
//! Spec: TDX-ABI, "TDG.VP.ENTER Leaf"; TDX-TDP, "L2 VM Exits".

use bitfield_struct::bitfield;

use crate::{ExitReason, ExtendedExitQualification, InterruptionInfo, Registers, VmIndex};

/// What `TDG.VP.ENTER` drops from the translation caches before the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Invalidation(pub u8);

impl Invalidation {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// All translations of guest-physical addresses of the VM: INVEPT.
    pub const EPT: Self = Self(1);
    /// All translations of linear addresses of the VM: INVVPID.
    pub const VPID: Self = Self(2);
    /// As [`Self::VPID`], but global pages are kept.
    pub const VPID_RETAINING_GLOBALS: Self = Self(3);

    const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    const fn into_bits(self) -> u8 {
        self.0
    }
}

/// RCX of `TDG.VP.ENTER`.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct EntryFlags {
    /// What is dropped first.
    #[bits(2)]
    pub invalidation: Invalidation,
    /// Must be zero.
    #[bits(50)]
    pub reserved_low: u64,
    /// Which VM is entered.
    #[bits(2)]
    pub vm: u8,
    /// Must be zero.
    #[bits(10)]
    pub reserved_high: u16,
}

impl EntryFlags {
    /// Returns the flags that enter `vm`.
    #[must_use]
    pub const fn to(vm: VmIndex) -> Self {
        Self::new().with_vm(vm.get())
    }
}

/// The registers of L1 after an L2 VM was left, but RAX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L2Exit {
    /// RAX\[31:0\].
    pub reason: ExitReason,
    /// RCX: its qualification.
    pub qualification: u64,
    /// RDX: the guest linear address.
    pub gla: u64,
    /// RSI\[15:0\]: the selector of CS.
    pub cs_selector: u16,
    /// RSI\[31:16\]: the access rights of CS.
    pub cs_access_rights: u16,
    /// RSI\[63:32\]: the limit of CS.
    pub cs_limit: u32,
    /// RDI: the base of CS.
    pub cs_base: u64,
    /// R8: the guest-physical address.
    pub gpa: u64,
    /// R9\[31:0\]: the event that caused the exit.
    pub interruption: InterruptionInfo,
    /// R9\[63:32\]: its error code.
    pub interruption_error_code: u32,
    /// R10\[31:0\]: the event whose delivery the exit interrupted. L1 has to inject it again.
    pub idt_vectoring: InterruptionInfo,
    /// R10\[63:32\]: its error code.
    pub idt_vectoring_error_code: u32,
    /// R11\[31:0\]: what the instruction looks like.
    pub instruction_info: u32,
    /// R11\[63:32\]: how long it is.
    pub instruction_length: u32,
    /// R12\[1:0\]: the privilege level of L2.
    pub cpl: u8,
    /// R13: what the module adds.
    pub extended_qualification: ExtendedExitQualification,
}

/// Returns bits 31:0.
const fn low(word: u64) -> u32 {
    (word & 0xFFFF_FFFF) as u32
}

/// Returns bits 63:32.
const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

/// Joins bits 31:0 and bits 63:32.
const fn join(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

impl L2Exit {
    /// Takes the registers of L1 apart.
    #[must_use]
    #[inline]
    pub const fn from_registers(r: &Registers) -> Self {
        Self {
            reason: ExitReason(low(r.rax)),
            qualification: r.rcx,
            gla: r.rdx,
            cs_selector: (r.rsi & 0xFFFF) as u16,
            cs_access_rights: (r.rsi >> 16 & 0xFFFF) as u16,
            cs_limit: high(r.rsi),
            cs_base: r.rdi,
            gpa: r.r8,
            interruption: InterruptionInfo::from_bits(low(r.r9)),
            interruption_error_code: high(r.r9),
            idt_vectoring: InterruptionInfo::from_bits(low(r.r10)),
            idt_vectoring_error_code: high(r.r10),
            instruction_info: low(r.r11),
            instruction_length: high(r.r11),
            cpl: (r.r12 & 3) as u8,
            extended_qualification: ExtendedExitQualification::from_bits(r.r13),
        }
    }

    /// Puts the report into the registers of L1 (for who plays the module).
    ///
    /// RAX gets the reason alone: joining the status is up to the caller. RBX, R14 and R15 become
    /// zero, as the module leaves them.
    pub const fn write_registers(&self, r: &mut Registers) {
        *r = Registers {
            rax: self.reason.0 as u64,
            rcx: self.qualification,
            rdx: self.gla,
            rbx: 0,
            rsi: self.cs_selector as u64
                | (self.cs_access_rights as u64) << 16
                | (self.cs_limit as u64) << 32,
            rdi: self.cs_base,
            r8: self.gpa,
            r9: join(self.interruption.into_bits(), self.interruption_error_code),
            r10: join(self.idt_vectoring.into_bits(), self.idt_vectoring_error_code),
            r11: join(self.instruction_info, self.instruction_length),
            r12: self.cpl as u64,
            r13: self.extended_qualification.into_bits(),
            r14: 0,
            r15: 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{EntryFlags, Invalidation, L2Exit};
    use crate::{Registers, VmIndex};

    #[test]
    fn the_vm_is_in_bits_53_to_52() {
        let flags = EntryFlags::to(VmIndex::VM2).with_invalidation(Invalidation::EPT);
        assert_eq!(flags.into_bits(), 0x0020_0000_0000_0001);
    }

    proptest! {
        #[test]
        fn both_directions_agree(words in any::<[u64; 8]>(), cpl in 0_u64..4) {
            let [rax, rcx, rdx, rsi, rdi, r9, r10, r11] = words;
            let r = Registers {
                rax: rax & 0xFFFF_FFFF, rcx, rdx, rsi, rdi, r8: rcx, r9, r10, r11, r12: cpl,
                r13: rdx, ..Registers::default()
            };
            let mut back = Registers { rbx: 1, r14: 1, r15: 1, ..Registers::default() };
            L2Exit::from_registers(&r).write_registers(&mut back);
            prop_assert_eq!(back, r);
        }
    }
}
