// SPDX-License-Identifier: MIT OR Apache-2.0
//! L2's part of the memory, as L1 reads and writes it: what of it is private.
//!
//! L2 uses the same bytes at the same time, so there are no references to them: every access is a
//! copy by assembly, which the compiler cannot split, merge or assume anything about.
#![expect(unsafe_code, reason = "L2's memory is reached by address")]

use core::{
    arch::asm,
    sync::atomic::{AtomicU64, Ordering},
};

use paravisor::{guest_memory::GuestMemory, width};

use super::visibility;

/// End of L2's RAM, which begins at 0. Stored once, before L2 runs.
static END: AtomicU64 = AtomicU64::new(0);

/// L2's RAM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestRam {
    end: u64,
}

impl GuestRam {
    /// L2's RAM, empty until [`set_end`] has been called.
    pub(crate) fn get() -> Self {
        Self { end: END.load(Ordering::Relaxed) }
    }

    /// Where it ends.
    pub(crate) const fn end(self) -> u64 {
        self.end
    }

    fn contains(self, gpa: u64, length: usize) -> bool {
        gpa.checked_add(width::wide(length)).is_some_and(|end| end <= self.end)
    }
}

/// Tells where L2's RAM ends.
///
/// # Safety
///
/// All of it is accepted private memory, and no Rust reference to it exists or will exist.
pub(crate) unsafe fn set_end(end: u64) {
    END.store(end, Ordering::Relaxed);
    visibility::prepare(end);
}

impl GuestMemory for GuestRam {
    fn read(&self, gpa: u64, buffer: &mut [u8]) -> bool {
        if !self.contains(gpa, buffer.len()) {
            return false;
        }
        let (to, length) = (buffer.as_mut_ptr().expose_provenance(), buffer.len());
        // SAFETY: The source is in L2's RAM, which is mapped and private; the target is the buffer.
        let work = || unsafe { copy(gpa, to, length) };
        visibility::while_private(gpa, width::wide(length), work).is_some()
    }

    fn write(&mut self, gpa: u64, bytes: &[u8]) -> bool {
        if !self.contains(gpa, bytes.len()) {
            return false;
        }
        let (from, length) = (bytes.as_ptr().expose_provenance() as u64, bytes.len());
        // SAFETY: The target is in L2's RAM, which is mapped, private, and has no references.
        let work = || unsafe { copy(from, width::index(gpa), length) };
        visibility::while_private(gpa, width::wide(length), work).is_some()
    }
}

/// Copies bytes. Assembly, because L2's RAM begins at address 0, where Rust has no objects.
/// Eight at a time, because TCG moves one element of a string at a time, and kernels are large.
///
/// # Safety
///
/// Both ranges are mapped and do not overlap; the target is L2's, or a buffer that the caller owns.
unsafe fn copy(from: u64, to: usize, length: usize) {
    // SAFETY: The caller owns what is written.
    unsafe {
        asm!(
            "rep movsq",
            "mov rcx, {rest}",
            "rep movsb",
            rest = in(reg) length % 8,
            inout("rsi") from => _,
            inout("rdi") to => _,
            inout("rcx") length / 8 => _,
            options(nostack, preserves_flags),
        );
    }
}
