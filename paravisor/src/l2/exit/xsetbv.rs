// SPDX-License-Identifier: MIT OR Apache-2.0
//! XSETBV: XCR0 is shared between L1 and L2, and L1 does not use what it controls, so L2's value is
//! simply set, after the checks that the processor would make.
//!
//! Spec: SDM volume 2, "XSETBV".
#![expect(unsafe_code, reason = "XSETBV has no safe intrinsic on a soft-float target")]

use core::arch::{asm, x86_64::__cpuid_count};

use paravisor::width::{high32, low32};
use tdcall::L2Exit;
use x86_64::registers::control::{Cr4, Cr4Flags};

use super::{Next, Refused};
use crate::l2::vcpu::Vcpu;

const X87: u64 = 1 << 0;
const SSE: u64 = 1 << 1;
const AVX: u64 = 1 << 2;
const MPX: u64 = 3 << 3;
const AVX512: u64 = 7 << 5;

/// Handles XSETBV.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Next, Refused> {
    let state = vcpu.state();
    let value = state.rdx << 32 | state.rax & 0xffff_ffff;
    if report.cpl != 0
        || low32(state.rcx) != 0
        || !is_valid(value)
        || !Cr4::read().contains(Cr4Flags::OSXSAVE)
    {
        return Ok(Next::GENERAL_PROTECTION);
    }
    // SAFETY: The value is one the processor takes; L1 is compiled without the state it is about.
    unsafe {
        asm!(
            "xsetbv",
            in("ecx") 0,
            in("eax") low32(value),
            in("edx") high32(value),
            options(nomem, nostack),
        );
    }
    Ok(Next::Skip)
}

fn is_valid(value: u64) -> bool {
    let offered = __cpuid_count(0xd, 0);
    let supported = u64::from(offered.edx) << 32 | u64::from(offered.eax);
    let whole = |group| value & group == 0 || value & group == group;
    value & !supported == 0
        && value & X87 != 0
        && (value & AVX == 0 || value & SSE != 0)
        && whole(MPX)
        && whole(AVX512)
        && (value & AVX512 == 0 || value & AVX != 0)
}
