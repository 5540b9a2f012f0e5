// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of L1's own that the host sees, for what the two tell each other.
//!
//! It is taken from the heap for good, made shared, and from then on reached through the second window of
//! the page tables only. Rust has no references to it: each byte is copied in or out by one access, and what
//! is decided is decided on the copy.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<MapGPA>`".
#![expect(unsafe_code, reason = "memory that the host writes is reached by address")]

use alloc::alloc::alloc_zeroed;
use core::{alloc::Layout, arch::asm, fmt, ops::Range, ptr, slice, sync::atomic::AtomicU32};

use paravisor::{page_set::PAGE, width};
use tdcall::{
    Instruction,
    tdvmcall::{self, MapGpaError},
};

/// Where the page tables put shared memory.
const SHARED_BASE: u64 = 512 << 30;

/// A piece of shared memory.
#[derive(Debug)]
pub(crate) struct Window {
    gpa: u64,
    size: usize,
}

/// Words of shared memory, as both sides may use them at the same time.
pub(crate) type Words = &'static [AtomicU32];

/// Why there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Error {
    /// L1 has no memory left.
    NoMemory,
    /// The host, or the module.
    NotShared(MapGpaError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("no memory left"),
            Self::NotShared(error) => write!(f, "memory is not shared: {error}"),
        }
    }
}

/// Whether L1 reaches shared memory at this linear address.
pub(crate) const fn is_shared(linear: u64) -> bool {
    linear >= SHARED_BASE
}

impl Window {
    /// Shares `size` bytes, which are whole pages. They stay shared; after an error nobody uses them.
    pub(crate) fn make(size: usize, shared_bit: u64) -> Result<Self, Error> {
        let layout = Layout::from_size_align(size, width::index(PAGE));
        let layout = layout.ok().filter(|layout| layout.size() != 0).ok_or(Error::NoMemory)?;
        // SAFETY: The size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            return Err(Error::NoMemory);
        }
        let gpa = width::wide(memory.expose_provenance());
        // SAFETY: The memory has just been taken from the heap and is never given back, so no private
        // access to it takes place any more.
        unsafe { tdvmcall::map_gpa(&Instruction, gpa | shared_bit, width::wide(size)) }
            .map_err(Error::NotShared)?;
        Ok(Self { gpa, size })
    }

    /// The address of the byte at `offset`, without the shared bit.
    pub(crate) const fn gpa(&self, offset: usize) -> u64 {
        self.gpa + offset as u64
    }

    /// Copies `bytes` to `offset`. What does not fit is left out.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let Some(range) = self.range(offset, bytes.len()) else { return };
        // SAFETY: The target is in the window, and the source a slice.
        unsafe { copy(bytes.as_ptr().expose_provenance(), range.start, bytes.len()) };
    }

    /// Copies what is at `offset` to `bytes`, each byte once.
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) {
        let Some(range) = self.range(offset, bytes.len()) else { return bytes.fill(0) };
        // SAFETY: The source is in the window, and the target a slice that is borrowed mutably.
        unsafe { copy(range.start, bytes.as_mut_ptr().expose_provenance(), bytes.len()) };
    }

    /// The word at `offset`, which is a multiple of 8. Context: anywhere.
    pub(crate) fn word(&self, offset: usize) -> u64 {
        let Some(range) = self.range(offset, 8) else { return 0 };
        let word = ptr::with_exposed_provenance::<u64>(range.start);
        // SAFETY: It is mapped and aligned; the host may write it meanwhile, and any value is good.
        unsafe { word.read_volatile() }
    }

    /// The words of `size` bytes at `offset`, both multiples of 4. They are for protocols in which both sides
    /// change words; a word that is read is one of the host's, like any byte here.
    pub(crate) fn words(&self, offset: usize, size: usize) -> Option<Words> {
        let range = self.range(offset, size).filter(|range| range.start.is_multiple_of(4))?;
        let first = ptr::with_exposed_provenance::<AtomicU32>(range.start);
        // SAFETY: 1. The words are mapped for good, at an address that is a multiple of 4. 2. Any bits are a
        // value, and atomics may change under a shared reference. 3. Nothing has a plain reference to them.
        Some(unsafe { slice::from_raw_parts(first, size / 4) })
    }

    fn range(&self, offset: usize, length: usize) -> Option<Range<usize>> {
        let end = offset.checked_add(length).filter(|end| *end <= self.size)?;
        let base = width::index(SHARED_BASE + self.gpa);
        Some(base + offset..base + end)
    }
}

/// Copies bytes, by an instruction that the compiler makes no assumptions about.
///
/// # Safety
///
/// Both ranges are mapped, do not overlap, and the caller owns the target.
unsafe fn copy(from: usize, to: usize, length: usize) {
    // SAFETY: As the caller says.
    unsafe {
        asm!(
            "rep movsb",
            inout("rsi") from => _,
            inout("rdi") to => _,
            inout("rcx") length => _,
            options(nostack, preserves_flags),
        );
    }
}
