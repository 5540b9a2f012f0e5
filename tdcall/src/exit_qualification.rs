// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exit qualifications: what exactly happened, in a form that depends on the exit reason.
//!
//! Spec: SDM, "Exit Qualification"; TDX-ABI, "Extended Exit Qualification".

use bitfield_struct::bitfield;

/// The qualification of [`ExitReason::IO_INSTRUCTION`](crate::ExitReason::IO_INSTRUCTION).
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct IoQualification {
    /// Size of the access in bytes, less one.
    #[bits(3)]
    pub size_minus_one: u8,
    /// The instruction reads from the port.
    pub is_in: bool,
    /// The instruction is `INS` or `OUTS`.
    pub string: bool,
    /// The instruction has a REP prefix.
    pub rep: bool,
    /// The port is an immediate operand, not DX.
    pub immediate: bool,
    #[bits(9)]
    __: u16,
    /// The port.
    pub port: u16,
    __: u32,
}

impl IoQualification {
    /// Returns the size of the access in bytes, if it is one that exists.
    #[must_use]
    pub const fn size(&self) -> Option<u8> {
        match self.size_minus_one() {
            0 => Some(1),
            1 => Some(2),
            3 => Some(4),
            _ => None,
        }
    }
}

/// What [`ControlRegisterQualification`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ControlRegisterAccess(pub u8);

impl ControlRegisterAccess {
    /// `MOV` to the register.
    pub const MOV_TO: Self = Self(0);
    /// `MOV` from the register.
    pub const MOV_FROM: Self = Self(1);
    /// `CLTS`.
    pub const CLTS: Self = Self(2);
    /// `LMSW`.
    pub const LMSW: Self = Self(3);

    const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    const fn into_bits(self) -> u8 {
        self.0
    }
}

/// The qualification of
/// [`ExitReason::CONTROL_REGISTER_ACCESS`](crate::ExitReason::CONTROL_REGISTER_ACCESS).
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct ControlRegisterQualification {
    /// Which control register.
    #[bits(4)]
    pub control_register: u8,
    /// What was done to it.
    #[bits(2)]
    pub access: ControlRegisterAccess,
    /// The operand of `LMSW` is in memory.
    pub lmsw_memory: bool,
    __: bool,
    /// The general register of `MOV`, in the encoding of the architecture (RSP is 4).
    #[bits(4)]
    pub general_register: u8,
    #[bits(4)]
    __: u8,
    /// The operand of `LMSW`.
    pub lmsw_source: u16,
    __: u32,
}

/// The qualification of [`ExitReason::EPT_VIOLATION`](crate::ExitReason::EPT_VIOLATION).
///
/// Bits 12:7 of one that went through the host are always clear.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct EptViolationQualification {
    /// A data read.
    pub read: bool,
    /// A data write.
    pub write: bool,
    /// An instruction fetch.
    pub fetch: bool,
    /// The page was readable.
    pub readable: bool,
    /// The page was writable.
    pub writable: bool,
    /// The page was executable (for supervisor code, with mode-based execute control).
    pub executable: bool,
    /// The page was executable for user code.
    pub user_executable: bool,
    /// The guest linear address is valid.
    pub gla_valid: bool,
    /// The access was the translation of the linear address, not a page walk.
    pub gla_translation: bool,
    /// The linear address is a user-mode one.
    pub user_linear: bool,
    /// The linear address is writable.
    pub writable_linear: bool,
    /// The linear address is execute-disabled.
    pub execute_disable_linear: bool,
    /// An IRET had just unblocked NMIs.
    pub nmi_unblocking: bool,
    /// A shadow-stack access.
    pub shadow_stack: bool,
    /// The page was marked for supervisor shadow stacks.
    pub supervisor_shadow_stack: bool,
    /// Guest paging verification failed.
    pub guest_paging_verification: bool,
    /// The access was not that of an instruction.
    pub asynchronous: bool,
    #[bits(47)]
    __: u64,
}

/// What the module adds to an exit qualification, in R13 towards L1 and in RDX towards the host.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct ExtendedExitQualification {
    /// What the information is about.
    #[bits(4)]
    pub kind: ExtendedExitQualificationKind,
    #[bits(28)]
    __: u32,
    /// The level that was asked for, or the low bits of an MSR index.
    #[bits(3)]
    pub requested_level: u8,
    /// The level at which the walk stopped.
    #[bits(3)]
    pub error_level: u8,
    /// The public state of the Secure EPT entry there.
    pub error_state: u8,
    /// That entry is a leaf.
    pub error_leaf: bool,
    #[bits(5)]
    __: u8,
    /// The VM whose tree was walked.
    #[bits(2)]
    pub vm: u8,
    #[bits(10)]
    __: u16,
}

/// Bits 3:0 of an [`ExtendedExitQualification`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExtendedExitQualificationKind(pub u8);

impl ExtendedExitQualificationKind {
    /// Nothing is added.
    pub const NONE: Self = Self(0);
    /// `TDG.MEM.PAGE.ACCEPT` could not reach the page.
    pub const ACCEPT: Self = Self(1);
    /// `TDG.MEM.PAGE.ATTR.WR` found no table in the tree of an L2 VM.
    pub const GPA_DETAILS: Self = Self(2);
    /// An MSR could not be loaded; bits 63:32 are its index.
    pub const MSR_LOAD: Self = Self(3);
    /// The extended state could not be loaded.
    pub const XSTATE_LOAD: Self = Self(4);
    /// `TDG.MEM.PAGE.ATTR.WR` could not reach the page.
    pub const ATTRIBUTES_WRITE: Self = Self(5);
    /// The page is still pending.
    pub const PENDING_EPT_VIOLATION: Self = Self(6);

    const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    const fn into_bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{ControlRegisterAccess, ControlRegisterQualification, IoQualification};

    #[test]
    fn an_output_of_one_byte_to_the_serial_port() {
        let out = IoQualification::from_bits(0x03F8_0000);
        assert_eq!((out.port(), out.size(), out.is_in()), (0x3F8, Some(1), false));
        let input = IoQualification::from_bits(0x0CFC_000B);
        assert_eq!((input.port(), input.size(), input.is_in()), (0xCFC, Some(4), true));
        assert_eq!(IoQualification::from_bits(2).size(), None);
    }

    #[test]
    fn a_move_from_r9_to_cr4() {
        let cr = ControlRegisterQualification::from_bits(0x904);
        assert_eq!(cr.control_register(), 4);
        assert_eq!(cr.access(), ControlRegisterAccess::MOV_TO);
        assert_eq!(cr.general_register(), 9);
    }
}
