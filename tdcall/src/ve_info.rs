// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a #VE was raised.
//!
//! Spec: TDX-ABI, "TDG.VP.VEINFO.GET Leaf"; SDM, "Virtualization-Exception Information".

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{ExitReason, Registers};

/// What `TDG.VP.VEINFO.GET` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VeInfo {
    /// What the guest did.
    pub exit_reason: ExitReason,
    /// Its qualification.
    pub exit_qualification: u64,
    /// The linear address, for EPT violations.
    pub gla: u64,
    /// The guest-physical address, for EPT violations. The shared bit is part of it.
    pub gpa: u64,
    /// The length of the instruction; not valid for #VE that the processor raised itself.
    pub instruction_length: u32,
    /// The VM-exit instruction information; not valid for #VE that the processor raised itself.
    pub instruction_info: u32,
}

impl VeInfo {
    /// Takes the outputs of the leaf apart.
    #[must_use]
    pub const fn from_registers(r: &Registers) -> Self {
        Self {
            exit_reason: ExitReason((r.rcx & 0xFFFF_FFFF) as u32),
            exit_qualification: r.rdx,
            gla: r.r8,
            gpa: r.r9,
            instruction_length: (r.r10 & 0xFFFF_FFFF) as u32,
            instruction_info: (r.r10 >> 32) as u32,
        }
    }

    /// Puts the outputs of the leaf into its registers (for who plays the module).
    pub const fn write_registers(&self, r: &mut Registers) {
        r.rcx = self.exit_reason.0 as u64;
        r.rdx = self.exit_qualification;
        r.r8 = self.gla;
        r.r9 = self.gpa;
        r.r10 = self.instruction_length as u64 | (self.instruction_info as u64) << 32;
    }
}

/// The area that the processor and the module fill, in memory of the module.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct VeInfoArea {
    /// The exit reason.
    pub exit_reason: u32,
    /// [`Self::VALID`] from the #VE until its cause is taken, else zero.
    pub valid: u32,
    /// The exit qualification.
    pub exit_qualification: u64,
    /// The guest linear address.
    pub gla: u64,
    /// The guest-physical address.
    pub gpa: u64,
    /// The index of the EPTP.
    pub eptp_index: u16,
    /// Not used.
    pub reserved: u16,
    /// The length of the instruction (the module only).
    pub instruction_length: u32,
    /// The VM-exit instruction information (the module only).
    pub instruction_info: u32,
    /// Not used.
    pub padding: u32,
}

impl VeInfoArea {
    /// The mark of an area whose content was not taken yet.
    pub const VALID: u32 = !0;
}

const _: () = assert!(offset_of!(VeInfoArea, exit_qualification) == 8);
const _: () = assert!(offset_of!(VeInfoArea, eptp_index) == 32);
const _: () = assert!(offset_of!(VeInfoArea, instruction_length) == 36);
const _: () = assert!(offset_of!(VeInfoArea, instruction_info) == 40);

#[cfg(test)]
mod tests {
    use super::VeInfo;
    use crate::{ExitReason, Registers};

    #[test]
    fn both_directions_agree() {
        let info = VeInfo {
            exit_reason: ExitReason::IO_INSTRUCTION,
            exit_qualification: 0x03F8_0000,
            gla: 1,
            gpa: 2,
            instruction_length: 1,
            instruction_info: 0xABCD,
        };
        let mut r = Registers::default();
        info.write_registers(&mut r);
        assert_eq!(r.r10, 0xABCD_0000_0001);
        assert_eq!(VeInfo::from_registers(&r), info);
    }
}
