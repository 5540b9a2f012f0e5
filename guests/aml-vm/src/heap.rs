// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory for values: a part of the program's own, cleared by L1.
#![expect(unsafe_code, reason = "the allocator is given memory")]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr::NonNull,
};

use linked_list_allocator::Heap;
use spin::Mutex;

/// Bytes of the heap.
const SIZE: usize = 1 << 20;

#[repr(C, align(16))]
struct Memory(UnsafeCell<[u8; SIZE]>);

// SAFETY: Rust never refers to the content; the allocator does, by address, behind its lock.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; SIZE]));

struct Allocator(Mutex<Option<Heap>>);

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(Mutex::new(None));

// SAFETY: `Heap` hands out memory of its own range, once; the lock is there although one CPU runs.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = self.0.lock();
        let heap = heap.get_or_insert_with(|| {
            // SAFETY: The memory is the heap's from here on, and this is done once.
            unsafe { Heap::new(MEMORY.0.get().cast(), SIZE) }
        });
        heap.allocate_first_fit(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let (Some(pointer), Some(heap)) = (NonNull::new(pointer), self.0.lock().as_mut()) {
            // SAFETY: The caller got `pointer` from `alloc` with this layout.
            unsafe { heap.deallocate(pointer, layout) };
        }
    }
}
