// SPDX-License-Identifier: MIT OR Apache-2.0
//! `REP OUTSB`: many bytes to one port. Byte by byte would cost an emulator one exit each.
#![expect(unsafe_code, reason = "port output has no intrinsic, and a device may do anything")]

use core::arch::asm;

/// Writes `bytes` to `port`, in order.
///
/// # Safety
///
/// The device behind `port` must not, by taking these bytes, break the memory or the CPU state that
/// this program relies on.
pub unsafe fn write_string(port: u16, bytes: &[u8]) {
    // SAFETY: 1. OUTSB reads `bytes.len()` bytes from the slice, upwards because DF is 0 at every
    // `asm!`. 2. What the device does is the caller's promise.
    unsafe {
        asm!(
            "rep outsb",
            in("dx") port,
            inout("rsi") bytes.as_ptr() => _,
            inout("rcx") bytes.len() => _,
            options(nostack, preserves_flags, readonly),
        );
    }
}
