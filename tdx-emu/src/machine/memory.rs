// SPDX-License-Identifier: MIT OR Apache-2.0
//! Physical pages and the heap.
//!
//! All RAM of the loader's map, but not: the first MiB (trampoline, firmware, the loader's tables),
//! L0's own image with its page tables and stacks, the loaded image, and the bitmap itself.
//!
//! Pages are handed out zeroed and named by physical address, which is also where L0 sees them.
#![expect(unsafe_code, reason = "hands out memory that no Rust object owns")]

use core::{
    alloc::{GlobalAlloc, Layout},
    ops::Range,
    ptr::{self, NonNull},
};

use linked_list_allocator::Heap;
use spin::Mutex;

use super::{long_mode, page_bitmap::PageBitmap};

/// The size of a page.
pub(crate) const PAGE_SIZE: u64 = 4096;

/// The size of the heap behind `alloc`.
const HEAP_PAGES: usize = 32 << 20 >> 12;

/// Below this nothing is handed out.
pub(super) const LOW_MEMORY: u64 = 1 << 20;

static PAGES: Mutex<Option<PageBitmap<'static>>> = Mutex::new(None);

#[global_allocator]
static HEAP: LockedHeap = LockedHeap(Mutex::new(Heap::empty()));

unsafe extern "C" {
    static machine_image_start: [u8; 0];
    static machine_image_end: [u8; 0];
}

/// Returns where L0 sees the physical address `hpa`.
pub(crate) fn at<T>(hpa: u64) -> *mut T {
    ptr::with_exposed_provenance_mut(size(hpa))
}

/// Converts a length or an address: both are 64 bits wide here.
#[expect(clippy::cast_possible_truncation, reason = "L0 runs on x86-64 only")]
pub(crate) const fn size(value: u64) -> usize {
    value as usize
}

/// Takes a zeroed page.
pub(crate) fn alloc_page() -> Option<u64> {
    let page = PAGES.lock().as_mut()?.take()?;
    Some(zeroed(page, 1))
}

/// Takes `n` zeroed pages in a row, the first one at a multiple of `align_pages` pages.
pub(crate) fn alloc_pages(n: usize, align_pages: usize) -> Option<u64> {
    let page = PAGES.lock().as_mut()?.take_run(n, align_pages)?;
    Some(zeroed(page, n))
}

/// As [`alloc_pages`], but with whatever they hold: for pages that the module zeroes when the TD
/// accepts them, and that nobody can read before.
pub(crate) fn alloc_pages_to_be_accepted(n: usize) -> Option<u64> {
    let page = PAGES.lock().as_mut()?.take_run(n, n)?;
    Some(page as u64 * PAGE_SIZE)
}

/// Gives back a page taken by [`alloc_page`], or one of those taken by [`alloc_pages`].
///
/// Whoever held the address must not use it any more: it may belong to a guest next.
pub(crate) fn free_page(hpa: u64) {
    let page = size(hpa / PAGE_SIZE);
    if let Some(pages) = PAGES.lock().as_mut() {
        assert!(pages.is_used(page), "page {hpa:#x} is freed twice");
        pages.release(page..page + 1);
    }
}

/// Returns how many pages are left.
pub(crate) fn free_pages_left() -> u64 {
    PAGES.lock().as_ref().map_or(0, |pages| pages.free_pages() as u64)
}

/// Takes over all of `ram` but what is in use, `image` included, and makes the heap.
pub(super) fn initialize(
    ram: impl Iterator<Item = Range<u64>> + Clone,
    image: &Range<u64>,
) -> Result<(), &'static str> {
    let ram = ram.map(|range| range.start..range.end.min(long_mode::MAPPED));
    let own = (&raw const machine_image_start).addr() as u64
        ..(&raw const machine_image_end).addr() as u64;
    let top = ram.clone().map(|range| range.end).max().unwrap_or(0);
    let words = size(top.div_ceil(PAGE_SIZE * 64));
    let bitmap = whole_pages_around(&(0..words as u64 * 8));
    let place = place_for(bitmap.len() as u64 * PAGE_SIZE, ram.clone(), [&own, image])
        .ok_or("no RAM for the page bitmap")?;
    // SAFETY: 1. `place` is RAM that nobody uses, inside the identity map, page-aligned and large
    // enough. 2. It is reserved below, so that this stays the only reference. 3. Any bits are a u64.
    let words = unsafe { core::slice::from_raw_parts_mut(at(place), words) };
    let mut pages = PageBitmap::new(words);
    for range in ram {
        let first = size(range.start.div_ceil(PAGE_SIZE));
        pages.release(first..size(range.end / PAGE_SIZE).max(first));
    }
    let bitmap = place..place + bitmap.len() as u64 * PAGE_SIZE;
    for used in [&(0..LOW_MEMORY), &own, image, &bitmap] {
        pages.reserve(whole_pages_around(used));
    }
    *PAGES.lock() = Some(pages);
    let heap = alloc_pages(HEAP_PAGES, 1).ok_or("no RAM for the heap")?;
    // SAFETY: the pages are ours alone from now on, and this runs once.
    unsafe { HEAP.0.lock().init(at(heap), HEAP_PAGES * size(PAGE_SIZE)) };
    Ok(())
}

/// Finds the lowest `length` bytes of RAM that touch neither of `used`, nor low memory.
fn place_for(
    length: u64,
    ram: impl Iterator<Item = Range<u64>> + Clone,
    used: [&Range<u64>; 2],
) -> Option<u64> {
    let candidates = used.map(|range| range.end).into_iter().chain([LOW_MEMORY]);
    candidates
        .chain(ram.clone().map(|range| range.start))
        .map(|start| start.max(LOW_MEMORY).next_multiple_of(PAGE_SIZE))
        .filter(|&start| {
            let end = start + length;
            ram.clone().any(|ram| ram.start <= start && end <= ram.end)
                && used.iter().all(|used| end <= used.start || used.end <= start)
        })
        .min()
}

/// Returns the pages that `range` touches.
fn whole_pages_around(range: &Range<u64>) -> Range<usize> {
    size(range.start / PAGE_SIZE)..size(range.end.div_ceil(PAGE_SIZE))
}

/// Zeroes `count` pages from page number `first` on and returns their address.
fn zeroed(first: usize, count: usize) -> u64 {
    let hpa = first as u64 * PAGE_SIZE;
    // SAFETY: the bitmap just gave these pages to this call: they are RAM inside the identity map,
    // and nobody else may use them.
    unsafe { at::<u8>(hpa).write_bytes(0, count * size(PAGE_SIZE)) };
    hpa
}

/// The heap, one lock for all CPUs.
struct LockedHeap(Mutex<Heap>);

// SAFETY: `Heap` hands out disjoint blocks of the layout it is asked for, in memory that it owns;
// the lock makes each call exclusive. Neither function unwinds.
unsafe impl GlobalAlloc for LockedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().allocate_first_fit(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller got `block` from `alloc` with this `layout`.
            unsafe { self.0.lock().deallocate(block, layout) };
        }
    }
}
