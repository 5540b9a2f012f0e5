// SPDX-License-Identifier: MIT OR Apache-2.0
//! L1's heap: most of the memory that L1 keeps for itself.
//!
//! Interrupt handlers do not allocate, so a plain spin lock is enough.
#![expect(unsafe_code, reason = "the allocator is given memory")]

use core::{
    alloc::{GlobalAlloc, Layout},
    ops::Range,
    ptr::NonNull,
};

use linked_list_allocator::Heap;
use spin::Mutex;

struct Allocator(Mutex<Heap>);

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(Mutex::new(Heap::empty()));

// SAFETY: `Heap` hands out memory of its own range, once; the lock keeps CPUs apart.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().allocate_first_fit(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: The caller got `pointer` from `alloc` with this layout.
            unsafe { self.0.lock().deallocate(pointer, layout) };
        }
    }
}

/// Gives `range` to the heap.
///
/// # Safety
///
/// The range is accepted private memory that nothing else uses, and this is the only call.
pub(crate) unsafe fn init(range: Range<u64>) {
    let size = paravisor::width::index(range.end.saturating_sub(range.start));
    let bottom = core::ptr::with_exposed_provenance_mut(paravisor::width::index(range.start));
    // SAFETY: The caller gives the memory away.
    unsafe { ALLOCATOR.0.lock().init(bottom, size) };
}
