// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions of the module that a guest can call, by number.
//!
//! Numbers 13 to 17, 19, 21 and all above 27 are unknown to module 1.5.01.
//!
//! Spec: TDX-ABI, "Guest-Side (TDCALL) Interface Functions".

use bitfield_struct::bitfield;

/// RAX at entry of `TDCALL`.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct LeafSelector {
    /// Which function.
    #[bits(16)]
    pub leaf: Leaf,
    /// Which version of it; all functions but [`Leaf::VM_RD`] have version 0 only.
    pub version: u8,
    /// Must be zero.
    #[bits(40)]
    pub reserved: u64,
}

/// The number of a `TDG.*` function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leaf(pub u16);

impl Leaf {
    /// `TDG.VP.VMCALL`: asks the host.
    pub const VP_VMCALL: Self = Self(0);
    /// `TDG.VP.INFO`: describes the TD and this virtual CPU.
    pub const VP_INFO: Self = Self(1);
    /// `TDG.MR.RTMR.EXTEND`: extends a run-time measurement register.
    pub const MR_RTMR_EXTEND: Self = Self(2);
    /// `TDG.VP.VEINFO.GET`: takes the cause of the last #VE.
    pub const VP_VEINFO_GET: Self = Self(3);
    /// `TDG.MR.REPORT`: writes a TDREPORT.
    pub const MR_REPORT: Self = Self(4);
    /// `TDG.VP.CPUIDVE.SET`: makes CPUID always raise #VE.
    pub const VP_CPUIDVE_SET: Self = Self(5);
    /// `TDG.MEM.PAGE.ACCEPT`: accepts a pending page.
    pub const MEM_PAGE_ACCEPT: Self = Self(6);
    /// `TDG.VM.RD`: reads a field of the TD.
    pub const VM_RD: Self = Self(7);
    /// `TDG.VM.WR`: writes a field of the TD.
    pub const VM_WR: Self = Self(8);
    /// `TDG.VP.RD`: reads a field of this virtual CPU.
    pub const VP_RD: Self = Self(9);
    /// `TDG.VP.WR`: writes a field of this virtual CPU.
    pub const VP_WR: Self = Self(10);
    /// `TDG.SYS.RD`: reads a field of the module.
    pub const SYS_RD: Self = Self(11);
    /// `TDG.SYS.RDALL`: reads all fields of the module.
    pub const SYS_RDALL: Self = Self(12);
    /// `TDG.SERVTD.RD`: a service TD reads a field of its target.
    pub const SERVTD_RD: Self = Self(18);
    /// `TDG.SERVTD.WR`: a service TD writes a field of its target.
    pub const SERVTD_WR: Self = Self(20);
    /// `TDG.MR.VERIFYREPORT`: checks the MAC of a report of this platform.
    pub const MR_VERIFYREPORT: Self = Self(22);
    /// `TDG.MEM.PAGE.ATTR.RD`: reads what each L2 VM may do with a page.
    pub const MEM_PAGE_ATTR_RD: Self = Self(23);
    /// `TDG.MEM.PAGE.ATTR.WR`: sets what each L2 VM may do with a page.
    pub const MEM_PAGE_ATTR_WR: Self = Self(24);
    /// `TDG.VP.ENTER`: runs an L2 VM.
    pub const VP_ENTER: Self = Self(25);
    /// `TDG.VP.INVEPT`: drops cached translations of L2 VMs.
    pub const VP_INVEPT: Self = Self(26);
    /// `TDG.VP.INVGLA`: drops cached translations of linear addresses of an L2 VM.
    pub const VP_INVGLA: Self = Self(27);

    /// Returns RAX for version 0 of this function.
    #[must_use]
    pub const fn rax(self) -> u64 {
        self.rax_of_version(0)
    }

    /// Returns RAX for another version of this function.
    #[must_use]
    pub const fn rax_of_version(self, version: u8) -> u64 {
        LeafSelector::new().with_leaf(self).with_version(version).into_bits()
    }

    /// Makes a leaf from its number.
    #[must_use]
    pub const fn from_bits(number: u16) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn into_bits(self) -> u16 {
        self.0
    }
}
