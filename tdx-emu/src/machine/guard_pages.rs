// SPDX-License-Identifier: MIT OR Apache-2.0
//! Holes in the identity map: under each stack, and at address 0.
//!
//! A stack that overflows would silently run into its neighbour's. With a hole it ends in a triple
//! fault instead: the exception itself finds no stack, and L0 has no IST (see `machine`). QEMU then
//! ends with status 0, which no regular end of L0 has. A null pointer gives an ordinary dump.
#![expect(unsafe_code, reason = "page tables")]

use core::ops::Range;

use x86_64::{
    PhysAddr,
    instructions::tlb,
    structures::paging::{PageTable, PageTableFlags},
};

use super::{cpus, long_mode, memory};

const LARGE_PAGE: u64 = 2 << 20;
const TABLE: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);
const LARGE: PageTableFlags = TABLE.union(PageTableFlags::HUGE_PAGE);

/// Cuts the holes. Nobody but the CPU that boots may run yet.
pub(super) fn initialize() -> Result<(), &'static str> {
    let Range { start: first, end } = cpus::stacks();
    let directory = table_of(0, LARGE_PAGE, LARGE)?;
    let stacks = (first..end).step_by(cpus::STACK_SIZE);
    for large_page in (0..end).step_by(memory::size(LARGE_PAGE)) {
        let inside = large_page..large_page + LARGE_PAGE;
        let table = table_of(large_page, memory::PAGE_SIZE, TABLE)?;
        for hole in stacks.clone().chain([0]).filter(|hole| inside.contains(hole)) {
            entry(table, (hole - large_page) / memory::PAGE_SIZE, 0, PageTableFlags::empty());
        }
        entry(directory, large_page / LARGE_PAGE, table, TABLE);
    }
    entry(long_mode::first_gib(), 0, directory, TABLE);
    tlb::flush_all();
    Ok(())
}

/// Makes a table whose 512 entries map `step` bytes each, from `start` on.
fn table_of(start: u64, step: u64, flags: PageTableFlags) -> Result<u64, &'static str> {
    let table = memory::alloc_page().ok_or("no RAM for page tables")?;
    for index in 0..512 {
        entry(table, index, start + index * step, flags);
    }
    Ok(table)
}

/// Writes entry `index` of the table at `table`.
fn entry(table: u64, index: u64, target: u64, flags: PageTableFlags) {
    let table = memory::at::<PageTable>(table);
    // SAFETY: 1. the table is a page of the allocator or one of `long_mode`, and only this CPU
    // touches it now; the CPU's own reads and its accessed bits do not tear an entry. 2. Every
    // entry maps an address to itself, or nothing where nobody has anything.
    let table = unsafe { &mut *table };
    table[memory::size(index)].set_addr(PhysAddr::new(target), flags);
}
