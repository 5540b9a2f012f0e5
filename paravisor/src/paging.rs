// SPDX-License-Identifier: MIT OR Apache-2.0
//! The final page tables: identity, a second window for shared memory, and the image as its sections
//! want it.
//!
//! | virtual address         | what                               | rights                    |
//! |-------------------------|------------------------------------|---------------------------|
//! | 0 – 512 GiB             | private memory at the same address | write, no execute         |
//! | image: code             |                                    | execute, no write         |
//! | image: constants        |                                    | neither                   |
//! | image: data, stacks     | without each stack's lowest page   | write, no execute         |
//! | 512 GiB – 1 TiB         | shared memory at (VA − 512 GiB)    | write, no execute         |
//!
//! The shared bit comes from `TDG.VP.INFO`. Pages of 1 GiB but for the gigabyte of the image.
//!
//! Spec: SDM "4-Level Paging"; TDX-BASE "Guest Physical Address Space".
#![expect(unsafe_code, reason = "page tables decide what every pointer means")]

use core::cell::UnsafeCell;

use bitflags::bitflags;
use spin::Once;
use x86_64::{
    PhysAddr,
    registers::control::{Cr3, Cr3Flags, Cr4, Cr4Flags},
    structures::paging::{PhysFrame, Size4KiB},
};

use crate::{boot, cpus::MAX_VCPUS};

bitflags! {
    #[derive(Clone, Copy)]
    struct Rights: u64 {
        const PRESENT = 1 << 0;
        const WRITE = 1 << 1;
        const ACCESSED = 1 << 5;
        const DIRTY = 1 << 6;
        const LARGE = 1 << 7;
        const NO_EXECUTE = 1 << 63;

        const TABLE = Self::PRESENT.bits() | Self::WRITE.bits() | Self::ACCESSED.bits();
        const CODE = Self::PRESENT.bits() | Self::ACCESSED.bits() | Self::DIRTY.bits();
        const CONSTANTS = Self::CODE.bits() | Self::NO_EXECUTE.bits();
        const DATA = Self::CONSTANTS.bits() | Self::WRITE.bits();
    }
}

const ENTRIES: usize = 512;
const KIB4: u64 = 1 << 12;
const MIB2: u64 = 1 << 21;
const GIB: u64 = 1 << 30;
/// The gigabyte that ends with the image.
const IMAGE_GIB: u64 = 3;

#[repr(C, align(4096))]
struct Table(UnsafeCell<[u64; ENTRIES]>);

// SAFETY: Each table is written once, before any CPU uses it, by the one CPU that runs then.
unsafe impl Sync for Table {}

static PML4: Table = Table::new();
static PRIVATE: Table = Table::new();
static SHARED: Table = Table::new();
static IMAGE_DIRECTORY: Table = Table::new();
static IMAGE_PAGES: Table = Table::new();

static MADE: Once<()> = Once::new();

impl Table {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; ENTRIES]))
    }

    fn gpa(&self) -> u64 {
        self.0.get().addr() as u64
    }

    /// Fills the table, `None` leaving a hole.
    fn fill(&self, entry: impl Fn(u64) -> Option<(u64, Rights)>) {
        let entries: [u64; ENTRIES] = core::array::from_fn(|index| {
            entry(index as u64).map_or(0, |(address, rights)| address | rights.bits())
        });
        // SAFETY: See the `Sync` implementation; no table is in use while it is filled.
        unsafe { self.0.get().write(entries) };
    }
}

/// Loads the final tables into this CPU; the first caller makes them.
pub(crate) fn load(shared_bit: u64) {
    MADE.call_once(|| make(shared_bit));
    let frame = PhysFrame::<Size4KiB>::containing_address(PhysAddr::new(PML4.gpa()));
    // SAFETY: The tables map all of L1's memory at the addresses that are in use.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
    // SAFETY: Global pages are not used; XSAVE is switched on so that XCR0 can be set for L2.
    unsafe { Cr4::update(|cr4| cr4.set(Cr4Flags::OSXSAVE, has_xsave())) };
}

fn has_xsave() -> bool {
    const XSAVE: u32 = 1 << 26;
    core::arch::x86_64::__cpuid(1).ecx & XSAVE != 0
}

fn make(shared_bit: u64) {
    IMAGE_PAGES.fill(|page| image_page(IMAGE_GIB * GIB + 511 * MIB2 + page * KIB4));
    IMAGE_DIRECTORY.fill(|page| {
        Some(match page {
            511 => (IMAGE_PAGES.gpa(), Rights::TABLE),
            // The payload lies below the image: measured, and only read.
            _ => (IMAGE_GIB * GIB + page * MIB2, Rights::CONSTANTS | Rights::LARGE),
        })
    });
    PRIVATE.fill(|page| {
        Some(match page {
            IMAGE_GIB => (IMAGE_DIRECTORY.gpa(), Rights::TABLE),
            _ => (page * GIB, Rights::DATA | Rights::LARGE),
        })
    });
    SHARED.fill(|page| Some((shared_bit | (page * GIB), Rights::DATA | Rights::LARGE)));
    PML4.fill(|entry| match entry {
        0 => Some((PRIVATE.gpa(), Rights::TABLE)),
        1 => Some((SHARED.gpa(), Rights::TABLE | Rights::NO_EXECUTE)),
        _ => None,
    });
}

/// The entry of one page of the image, by the section it belongs to.
fn image_page(gpa: u64) -> Option<(u64, Rights)> {
    let rights = if gpa < section_ends().0 {
        Rights::CODE
    } else if gpa < section_ends().1 {
        Rights::CONSTANTS
    } else if (0..MAX_VCPUS).any(|cpu| boot::stack_bottom(cpu) == gpa) {
        return None;
    } else {
        Rights::DATA
    };
    Some((gpa, rights))
}

/// Where code and constants end, by the linker script.
fn section_ends() -> (u64, u64) {
    unsafe extern "C" {
        static __code_end: u8;
        static __constants_end: u8;
    }
    ((&raw const __code_end).addr() as u64, (&raw const __constants_end).addr() as u64)
}
