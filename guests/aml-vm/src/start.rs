// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entry, and the end.
//!
//! L1 starts the program in 64-bit mode with a stack, as if something had called it.
#![expect(unsafe_code, reason = "L1 names memory by address")]

use core::{arch::asm, ops::Range, panic::PanicInfo};

use acpi_routes::vm::{ANSWERS, End, GIVEN};
use aml_routes::{interpreter::Limits, serve};

use crate::{port::Filtered, reach::Reach};

/// What AML may use: its heap is 1 MiB, of which the tables' names and values take a part each, and its
/// stack 512 KiB. A machine's tables at hand take 73,000 steps for all pins; an endless loop ends in a second or two even
/// under emulation, before its time is up.
const LIMITS: Limits = Limits { steps: 4_000_000, memory: 256 << 10, depth: 96 };

const PAGE: usize = 4096;

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    let length = size(&GIVEN);
    // SAFETY: L1 has mapped the range for this program, which cannot write it; nor does L1 meanwhile.
    let given = unsafe { core::slice::from_raw_parts(address(GIVEN.start).cast_const(), length) };
    // SAFETY: The page is the program's, and nothing else of it lies there.
    let page = unsafe { core::slice::from_raw_parts_mut(address(ANSWERS), PAGE) };
    match serve(given, Reach(Filtered), LIMITS, page) {
        Some(_) => end(End::ANSWERED),
        None => end(End::NO_REQUEST),
    }
}

fn address(address: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
}

fn size(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).unwrap_or(0)
}

/// Tells L1 of the end. If L1 enters once more, the same is told again.
fn end(how: End) -> ! {
    loop {
        // SAFETY: L1 takes RAX and ends the VM.
        unsafe { asm!("hlt", in("rax") how.0, options(nostack)) };
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    end(End::PANIC)
}
