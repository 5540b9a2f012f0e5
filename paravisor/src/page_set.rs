// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which pages of L2 the host may see, and how a list of pages becomes ranges to convert.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use crate::width;

/// Bytes of a page.
pub const PAGE: u64 = 0x1000;

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// The TD.
    Private,
    /// The host too.
    Shared,
}

/// A set of pages of L2's RAM, by number.
#[derive(Debug)]
pub struct PageSet {
    words: Vec<u64>,
}

/// The next thing to do for a list of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many pages of the list it covers.
    pub length: usize,
    /// The addresses to convert, or nothing if they are as wanted.
    pub convert: Option<Range<u64>>,
}

impl PageSet {
    /// Has no pages, and no room for any.
    #[must_use]
    pub const fn empty() -> Self {
        Self { words: Vec::new() }
    }

    /// Has no pages, and room for those below `end`.
    #[must_use]
    pub fn below(end: u64) -> Self {
        Self { words: vec![0; width::index((end / PAGE).div_ceil(64))] }
    }

    /// Whether page `number` is in it.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let word = self.words.get(width::index(number / 64));
        word.is_some_and(|word| word >> (number % 64) & 1 != 0)
    }

    /// Whether any page of the `length` bytes at `gpa` is in it.
    #[must_use]
    pub fn touches(&self, gpa: u64, length: u64) -> bool {
        let last = gpa.saturating_add(length.saturating_sub(1));
        length != 0 && (gpa / PAGE..=last / PAGE).any(|number| self.contains(number))
    }

    /// Takes the pages of `range` in.
    pub fn insert(&mut self, range: &Range<u64>) {
        self.change(range, |word, bit| *word |= bit);
    }

    /// Leaves the pages of `range` out.
    pub fn remove(&mut self, range: &Range<u64>) {
        self.change(range, |word, bit| *word &= !bit);
    }

    fn change(&mut self, range: &Range<u64>, change: impl Fn(&mut u64, u64)) {
        for number in range.start / PAGE..range.end.div_ceil(PAGE) {
            if let Some(word) = self.words.get_mut(width::index(number / 64)) {
                change(word, 1 << (number % 64));
            }
        }
    }

    /// How many pages are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The first run of neighbours in the list `pages` that are in the same state, and what makes
    /// them `wanted`, if this is the set of shared pages. `pages` must not be empty.
    #[must_use]
    pub fn next_run(&self, pages: &[u64], wanted: Visibility) -> Run {
        let first = pages.first().copied().unwrap_or_default();
        let is_shared = self.contains(first);
        let follows = |(number, page): &(u64, &u64)| {
            **page == first.wrapping_add(*number) && self.contains(**page) == is_shared
        };
        let length = (0..).zip(pages).take_while(follows).count();
        let start = first.saturating_mul(PAGE);
        let convert = (is_shared != (wanted == Visibility::Shared))
            .then(|| start..start.saturating_add(width::wide(length) * PAGE));
        Run { length, convert }
    }
}

#[cfg(test)]
mod tests {
    use super::{PageSet, Run, Visibility};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn any_byte_of_a_page_touches_it() {
        let mut set = PageSet::below(0x10_0000);
        set.insert(&(0x4_1000..0x4_3000));
        assert!(set.touches(0x4_1fff, 1) && set.touches(0x4_0fff, 2) && set.touches(0, 0x10_0000));
        assert!(!set.touches(0x4_0fff, 1) && !set.touches(0x4_3000, 0x1000));
        assert!(!set.touches(0x4_1000, 0) && !set.touches(u64::MAX, 8));
        set.remove(&(0x4_1000..0x4_2000));
        assert!(!set.contains(0x41) && set.contains(0x42) && set.count() == 1);
    }

    #[test]
    fn pages_beyond_the_end_are_never_in_it() {
        let mut set = PageSet::below(0x4_0000);
        set.insert(&(0x100_0000..0x200_0000));
        assert!(!set.contains(0x1000) && set.count() == 0);
    }

    #[test]
    fn neighbours_in_the_same_state_are_one_run() {
        let mut set = PageSet::below(0x10_0000);
        set.insert(&(0x7000..0x8000));
        let shared = Visibility::Shared;
        let run = |pages: &[u64]| set.next_run(pages, shared);
        assert_eq!(run(&[4, 5, 6, 7]), Run { length: 3, convert: Some(0x4000..0x7000) });
        assert_eq!(run(&[7, 8]), Run { length: 1, convert: None });
        assert_eq!(run(&[9, 11]), Run { length: 1, convert: Some(0x9000..0xa000) });
        assert_eq!(run(&[5, 4]), Run { length: 1, convert: Some(0x5000..0x6000) });
        let private = set.next_run(&[7, 8], Visibility::Private);
        assert_eq!(private, Run { length: 1, convert: Some(0x7000..0x8000) });
    }

    proptest! {
        #[test]
        fn runs_cover_any_list_and_convert_what_differs(
            pages in proptest::collection::vec(0_u64..200, 1..64),
            shared in proptest::collection::vec(any::<bool>(), 200),
        ) {
            let mut set = PageSet::below(200 << 12);
            for (number, _) in (0_u64..).zip(&shared).filter(|(_, shared)| **shared) {
                set.insert(&(number << 12..(number + 1) << 12));
            }
            let mut rest = &pages[..];
            while !rest.is_empty() {
                let run = set.next_run(rest, Visibility::Shared);
                prop_assert!(run.length >= 1);
                let (covered, left) = rest.split_at(run.length);
                for (number, page) in covered.iter().enumerate() {
                    let inside = run.convert.as_ref().map(|range| range.start / 4096 + number as u64);
                    let index = usize::try_from(*page).unwrap();
                    prop_assert_eq!(inside, (!shared[index]).then_some(*page));
                }
                rest = left;
            }
        }
    }
}
