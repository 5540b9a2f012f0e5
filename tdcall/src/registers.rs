// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers that cross the border between a guest and the module.
//!
//! RSP never crosses it. RBP does in one direction only: `TDG.VP.ENTER` leaves the RBP of the L2
//! VM in it, which [`Tdcall::enter`](crate::Tdcall::enter) saves and restores; it holds no answer.
//!
//! Spec: TDX-ABI, "TDG.VP.VMCALL Leaf"; SDM, "General-Purpose Registers".

use bitfield_struct::bitfield;
use bitflags::bitflags;

/// The general registers before or after `TDCALL`, but RSP and RBP.
///
/// The order of the fields is known to the assembly of `Instruction`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the architecture's own")]
pub struct Registers {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

impl Registers {
    /// All registers zero.
    pub const ZERO: Self = Self {
        rax: 0,
        rcx: 0,
        rdx: 0,
        rbx: 0,
        rsi: 0,
        rdi: 0,
        r8: 0,
        r9: 0,
        r10: 0,
        r11: 0,
        r12: 0,
        r13: 0,
        r14: 0,
        r15: 0,
    };
}

const _: () = assert!(size_of::<Registers>() == 14 * 8);

bitflags! {
    /// The general registers that `TDG.VP.VMCALL` shows to the host and takes back from it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GprMask: u16 {
        /// Never allowed: the module writes it itself.
        const RAX = 1 << 0;
        /// Never allowed: it holds the mask.
        const RCX = 1 << 1;
        /// RDX.
        const RDX = 1 << 2;
        /// RBX.
        const RBX = 1 << 3;
        /// Never allowed.
        const RSP = 1 << 4;
        /// RBP. Refused in a TD configured with `NO_RBP_MOD`; this crate never asks for it.
        const RBP = 1 << 5;
        /// RSI.
        const RSI = 1 << 6;
        /// RDI.
        const RDI = 1 << 7;
        /// R8.
        const R8 = 1 << 8;
        /// R9.
        const R9 = 1 << 9;
        /// R10.
        const R10 = 1 << 10;
        /// R11.
        const R11 = 1 << 11;
        /// R12.
        const R12 = 1 << 12;
        /// R13.
        const R13 = 1 << 13;
        /// R14.
        const R14 = 1 << 14;
        /// R15.
        const R15 = 1 << 15;

        /// What the module refuses always.
        const FORBIDDEN = Self::RAX.bits() | Self::RCX.bits() | Self::RSP.bits();
    }
}

impl GprMask {
    /// Makes a mask from its bits; every bit has a meaning.
    #[must_use]
    pub const fn from_mask(bits: u16) -> Self {
        Self::from_bits_retain(bits)
    }

    /// Returns the bits.
    #[must_use]
    pub const fn into_mask(self) -> u16 {
        self.bits()
    }
}

/// RCX of `TDG.VP.VMCALL`.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct VmcallExposure {
    /// General registers shown to the host.
    #[bits(16, from = GprMask::from_mask, into = GprMask::into_mask)]
    pub gpr: GprMask,
    /// XMM registers shown to the host.
    pub xmm: u16,
    /// Must be zero.
    pub reserved: u32,
}
