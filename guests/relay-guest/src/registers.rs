// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of a device, mapped by its guest physical address with the shared bit.
//!
//! The identity map has private addresses only. A device's page gets a second address in a window
//! of its own, whose page table entries carry the shared bit.
#![expect(unsafe_code, reason = "device memory is a raw address")]

use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::boot::{PageTable, ROOT};
use crate::failure::Failure;

/// Where the window starts: the second entry of the root table.
const WINDOW: u64 = 1 << 39;

/// Size of a page in the window.
const PAGE: u64 = 0x20_0000;

/// Present, writable, cache disabled and write-through, large.
const DEVICE_PAGE: u64 = 0x9b;

/// Present, writable.
const TABLE: u64 = 0x03;

static POINTERS: PageTable = PageTable::new();
static DIRECTORY: PageTable = PageTable::new();

/// Pages of the window in use.
static USED: AtomicU64 = AtomicU64::new(0);

/// One mapped range of device memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    base: usize,
    length: usize,
}

impl Registers {
    /// Maps `length` bytes at guest physical address `address` as shared memory.
    pub(crate) fn map(address: u64, length: u64, shared: u64) -> Result<Self, Failure> {
        POINTERS.0[0].store(physical(&DIRECTORY) | TABLE, Ordering::Relaxed);
        ROOT.0[1].store(physical(&POINTERS) | TABLE, Ordering::Relaxed);
        let offset = address % PAGE;
        let pages = (offset + length).div_ceil(PAGE);
        let first = USED.fetch_add(pages, Ordering::Relaxed);
        for page in 0..pages {
            let entry = usize::try_from(first + page).ok().and_then(|page| DIRECTORY.0.get(page));
            let entry = entry.ok_or(Failure::BadDevice("memory larger than the window"))?;
            let frame = address - offset + page * PAGE;
            entry.store(frame | shared | DEVICE_PAGE, Ordering::Relaxed);
        }
        let base = WINDOW + first * PAGE + offset;
        let range = usize::try_from(base).ok().zip(usize::try_from(length).ok());
        let (base, length) = range.ok_or(Failure::BadDevice("address"))?;
        Ok(Self { base, length })
    }

    /// Linear address of the register at `offset`.
    pub(crate) fn address(self, offset: usize) -> u64 {
        (self.base + offset) as u64
    }

    /// Reads the register at `offset` with one 32-bit MOV.
    pub(crate) fn read(self, offset: usize) -> u32 {
        let from = self.at(offset);
        let value;
        // SAFETY: `at` returns an aligned address of mapped device memory.
        unsafe {
            asm!("mov {0:e}, dword ptr [{1}]", out(reg) value, in(reg) from, options(nostack));
        }
        value
    }

    /// Writes the register at `offset` with one 32-bit MOV.
    pub(crate) fn write(self, offset: usize, value: u32) {
        let to = self.at(offset);
        // SAFETY: `at` returns an aligned address of mapped device memory, which no Rust object
        // occupies.
        unsafe {
            asm!("mov dword ptr [{1}], {0:e}", in(reg) value, in(reg) to, options(nostack));
        }
    }

    /// Increases the word at `offset` by one; for devices whose memory is plain memory.
    pub(crate) fn increase(self, offset: usize) {
        let word = self.at(offset);
        // SAFETY: The address is aligned and mapped for ever; the other side only reads the word.
        let word = unsafe { AtomicU32::from_ptr(word) };
        word.fetch_add(1, Ordering::Release);
    }

    /// The linear address of the byte at `offset`.
    pub(crate) fn linear(self, offset: usize) -> u64 {
        (self.base + offset) as u64
    }

    /// The address of the word at `offset`.
    fn at(self, offset: usize) -> *mut u32 {
        assert!(offset.is_multiple_of(4) && offset < self.length, "no register at {offset:#x}");
        ptr::with_exposed_provenance_mut(self.base + offset)
    }
}

/// Physical address of a table of the image, where virtual and physical are the same.
fn physical(table: &PageTable) -> u64 {
    (&raw const *table).expose_provenance() as u64
}
