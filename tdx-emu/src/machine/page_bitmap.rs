// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which physical pages are free: one bit a page, 1 = not free.
//!
//! A bitmap rather than a free list, because nested page tables want aligned runs, and because it
//! knows a page that is freed twice.

use core::ops::Range;

/// The bitmap of all pages from page 0 on.
#[derive(Debug)]
pub(crate) struct PageBitmap<'a> {
    words: &'a mut [u64],
    /// No free page is in a word before this one.
    first_candidate: usize,
    free: usize,
}

impl<'a> PageBitmap<'a> {
    /// Makes a bitmap of `64 * words.len()` pages, none of them free.
    pub(crate) fn new(words: &'a mut [u64]) -> Self {
        words.fill(u64::MAX);
        Self { first_candidate: words.len(), words, free: 0 }
    }

    /// Returns the number of free pages.
    pub(crate) const fn free_pages(&self) -> usize {
        self.free
    }

    /// Makes `pages` free, as far as the bitmap knows them.
    pub(crate) fn release(&mut self, pages: Range<usize>) {
        for page in pages.start..pages.end.min(self.pages()) {
            if self.is_used(page) {
                self.toggle(page);
                self.free += 1;
            }
        }
        self.first_candidate = self.first_candidate.min(pages.start / 64);
    }

    /// Makes `pages` not free, as far as the bitmap knows them.
    pub(crate) fn reserve(&mut self, pages: Range<usize>) {
        for page in pages.start..pages.end.min(self.pages()) {
            if !self.is_used(page) {
                self.toggle(page);
                self.free -= 1;
            }
        }
    }

    /// Takes the lowest free page.
    pub(crate) fn take(&mut self) -> Option<usize> {
        let rest = &self.words[self.first_candidate..];
        let skipped = rest.iter().position(|&word| word != u64::MAX);
        self.first_candidate += skipped.unwrap_or(rest.len());
        let word = self.words.get(self.first_candidate)?;
        let page = self.first_candidate * 64 + word.trailing_ones() as usize;
        self.toggle(page);
        self.free -= 1;
        Some(page)
    }

    /// Takes the lowest run of `count` free pages that begins at a multiple of `align`.
    pub(crate) fn take_run(&mut self, count: usize, align: usize) -> Option<usize> {
        let align = align.max(1);
        let mut start = (self.first_candidate * 64).next_multiple_of(align);
        while start + count <= self.pages() {
            match (start..start + count).rev().find(|&page| self.is_used(page)) {
                Some(obstacle) => start = (obstacle + 1).next_multiple_of(align),
                None => {
                    self.reserve(start..start + count);
                    return Some(start);
                }
            }
        }
        None
    }

    /// Returns whether `page` was taken, or does not exist.
    pub(crate) fn is_used(&self, page: usize) -> bool {
        self.words.get(page / 64).is_none_or(|word| word >> (page % 64) & 1 == 1)
    }

    const fn pages(&self) -> usize {
        self.words.len() * 64
    }

    fn toggle(&mut self, page: usize) {
        self.words[page / 64] ^= 1 << (page % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::PageBitmap;

    #[test]
    fn pages_come_lowest_first_and_come_back() {
        let mut words = [0; 4];
        let mut bitmap = PageBitmap::new(&mut words);
        assert_eq!(bitmap.take(), None);
        bitmap.release(70..73);
        assert_eq!([bitmap.take(), bitmap.take(), bitmap.take()], [Some(70), Some(71), Some(72)]);
        assert_eq!((bitmap.take(), bitmap.free_pages()), (None, 0));
        bitmap.release(71..72);
        assert_eq!((bitmap.free_pages(), bitmap.take()), (1, Some(71)));
    }

    #[test]
    fn a_reserved_page_is_never_taken() {
        let mut words = [0; 2];
        let mut bitmap = PageBitmap::new(&mut words);
        bitmap.release(0..1000);
        bitmap.reserve(0..127);
        bitmap.reserve(10..20);
        assert_eq!(bitmap.free_pages(), 1);
        assert_eq!((bitmap.take(), bitmap.take()), (Some(127), None));
    }

    #[test]
    fn a_run_is_aligned_and_passes_over_used_pages() {
        let mut words = [0; 8];
        let mut bitmap = PageBitmap::new(&mut words);
        bitmap.release(3..512);
        bitmap.reserve(130..131);
        assert_eq!(bitmap.take_run(64, 64), Some(64));
        assert_eq!(bitmap.take_run(64, 64), Some(192));
        assert_eq!(bitmap.take_run(200, 1), Some(256));
        assert_eq!(bitmap.take_run(200, 1), None);
        assert_eq!(bitmap.take(), Some(3));
        assert_eq!(bitmap.take_run(512, 512), None);
        assert!(bitmap.is_used(192) && !bitmap.is_used(128) && bitmap.is_used(512));
    }
}
