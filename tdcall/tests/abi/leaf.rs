// SPDX-License-Identifier: MIT OR Apache-2.0
//! Leaf numbers and the registers of a call.

use tdcall::{GprMask, Leaf, LeafSelector, VmcallExposure};

use super::row::{Row, numbers, words};

pub(crate) const LEAVES: &[Row] = numbers! {
    "TDX-ABI, Guest-Side (TDCALL) Interface Functions", Leaf:
    VP_VMCALL = 0;
    VP_INFO = 1;
    MR_RTMR_EXTEND = 2;
    VP_VEINFO_GET = 3;
    MR_REPORT = 4;
    VP_CPUIDVE_SET = 5;
    MEM_PAGE_ACCEPT = 6;
    VM_RD = 7;
    VM_WR = 8;
    VP_RD = 9;
    VP_WR = 10;
    SYS_RD = 11;
    SYS_RDALL = 12;
    SERVTD_RD = 18;
    SERVTD_WR = 20;
    MR_VERIFYREPORT = 22;
    MEM_PAGE_ATTR_RD = 23;
    MEM_PAGE_ATTR_WR = 24;
    VP_ENTER = 25;
    VP_INVEPT = 26;
    VP_INVGLA = 27;
};

pub(crate) const REGISTERS: &[Row] = words! { "TDX-ABI, TDCALL Instruction; TDG.VP.VMCALL Leaf":
    Leaf::VM_RD.rax_of_version(1) => 0x1_0007;
    LeafSelector::from_bits(0x1_0007).version() as u64 => 1;
    LeafSelector::from_bits(0x0100_0007).reserved() => 1;
    LeafSelector::from_bits(0x8000_0000_0000_0000).reserved() => 1 << 39;
    GprMask::RAX.bits() as u64 => 1 << 0;
    GprMask::RCX.bits() as u64 => 1 << 1;
    GprMask::RDX.bits() as u64 => 1 << 2;
    GprMask::RBX.bits() as u64 => 1 << 3;
    GprMask::RSP.bits() as u64 => 1 << 4;
    GprMask::RBP.bits() as u64 => 1 << 5;
    GprMask::RSI.bits() as u64 => 1 << 6;
    GprMask::RDI.bits() as u64 => 1 << 7;
    GprMask::R8.bits() as u64 => 1 << 8;
    GprMask::R9.bits() as u64 => 1 << 9;
    GprMask::R10.bits() as u64 => 1 << 10;
    GprMask::R11.bits() as u64 => 1 << 11;
    GprMask::R12.bits() as u64 => 1 << 12;
    GprMask::R13.bits() as u64 => 1 << 13;
    GprMask::R14.bits() as u64 => 1 << 14;
    GprMask::R15.bits() as u64 => 1 << 15;
    GprMask::FORBIDDEN.bits() as u64 => 0b1_0011;
    VmcallExposure::new().with_gpr(GprMask::R10).into_bits() => 0x400;
    VmcallExposure::from_bits(0x1234_0000).xmm() as u64 => 0x1234;
    VmcallExposure::from_bits(1 << 32).reserved() as u64 => 1;
};
