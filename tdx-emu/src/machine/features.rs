// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control registers of one CPU, beyond what long mode needs.
//!
//! L0 itself is soft-float: OSXSAVE and XCR0 are set so that it can save and restore what its guests
//! have in the FPU.
//!
//! Spec: SDM "XSAVE-Supported Features and State-Component Bitmaps"; APM "Enabling SVM".
#![expect(unsafe_code, reason = "control registers")]

use core::arch::x86_64::__cpuid_count;

use x86_64::registers::{
    control::{Cr4, Cr4Flags, Efer, EferFlags},
    xcontrol::{XCr0, XCr0Flags},
};

const LEAF_1_ECX_XSAVE: u32 = 1 << 26;
const LEAF_D_EAX_AVX: u32 = 1 << 2;
const LEAF_8000_0001_ECX_SVM: u32 = 1 << 2;
const LEAF_8000_000A_EDX_NESTED_PAGING: u32 = 1 << 0;

/// Returns what the CPU lacks that L0 cannot do without.
pub(super) fn missing() -> Option<&'static str> {
    if __cpuid_count(0x8000_0001, 0).ecx & LEAF_8000_0001_ECX_SVM == 0 {
        return Some("the CPU has no SVM: start QEMU with -cpu max,+svm");
    }
    if __cpuid_count(0x8000_000a, 0).edx & LEAF_8000_000A_EDX_NESTED_PAGING == 0 {
        return Some("the CPU has no nested paging: start QEMU with -cpu max,+svm,+npt");
    }
    None
}

/// Switches on SVM, and the state components x87, SSE and AVX as far as there are any.
pub(super) fn enable() {
    // SAFETY: SVME adds instructions and changes none; `missing` has checked that it exists.
    unsafe { Efer::update(|efer| efer.insert(EferFlags::SECURE_VIRTUAL_MACHINE_ENABLE)) };
    if __cpuid_count(1, 0).ecx & LEAF_1_ECX_XSAVE == 0 {
        return;
    }
    // SAFETY: OSXSAVE adds XSETBV and XSAVE; L0's own code uses no extended state.
    unsafe { Cr4::update(|cr4| cr4.insert(Cr4Flags::OSXSAVE)) };
    let mut components = XCr0Flags::X87 | XCr0Flags::SSE;
    if __cpuid_count(0xd, 0).eax & LEAF_D_EAX_AVX != 0 {
        components.insert(XCr0Flags::AVX);
    }
    // SAFETY: every component is one that CPUID reports, and AVX comes with SSE.
    unsafe { XCr0::write(components) };
}
