// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time in units of 100 ns, computed from the TSC by multiplication with a fraction of 2^64.
//!
//! The guest computes `((tsc * scale) >> 64) + offset` from the page; L1 computes the same for the
//! reference counter, so the two never differ.
//!
//! Spec: TLFS "Reference Time Stamp Counter (TSC) Page", "Partition Reference Counter".

/// Units of 100 ns in a second.
const UNITS: u128 = 10_000_000;

/// The fraction, and what the time starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceTsc {
    scale: u64,
    offset: i64,
}

/// Bytes of the page that mean something.
pub const LENGTH: usize = 24;

impl ReferenceTsc {
    /// A clock that counts from zero at `start`, with a TSC of `hertz`.
    ///
    /// A TSC that is no faster than the clock itself has no scale; it gets the largest.
    #[must_use]
    pub fn new(hertz: u64, start: u64) -> Self {
        let scale = (UNITS << 64) / u128::from(hertz.max(1));
        let mut clock = Self { scale: u64::try_from(scale).unwrap_or(u64::MAX), offset: 0 };
        clock.offset = 0_i64.wrapping_sub_unsigned(clock.at(start));
        clock
    }

    /// The time at `tsc`.
    #[must_use]
    pub fn at(&self, tsc: u64) -> u64 {
        let scaled = (u128::from(tsc) * u128::from(self.scale)) >> 64;
        // A product of two 64-bit numbers has 128 bits, of which these are the upper half.
        u64::try_from(scaled).unwrap_or(u64::MAX).wrapping_add_signed(self.offset)
    }

    /// The beginning of the page: sequence, reserved, scale, offset. The sequence never changes, for
    /// neither does the clock; zero would mean that the page is of no use.
    #[must_use]
    pub fn page(&self) -> [u8; LENGTH] {
        const SEQUENCE: u64 = 1;
        let mut page = [0; LENGTH];
        let words = [SEQUENCE.to_le_bytes(), self.scale.to_le_bytes(), self.offset.to_le_bytes()];
        for (place, word) in page.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::ReferenceTsc;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn a_tsc_of_a_gigahertz_is_divided_by_a_hundred() {
        let clock = ReferenceTsc::new(1_000_000_000, 500);
        assert_eq!(clock.at(500), 0);
        assert_eq!(clock.at(500 + 1_000_000), 10_000);
        assert_eq!(&clock.page()[..8], &[1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_frequency_without_a_scale_gets_the_largest() {
        assert_eq!(ReferenceTsc::new(0, 0).at(1 << 40), (1 << 40) - 1);
    }

    proptest! {
        #[test]
        fn the_time_is_that_of_the_direct_division(
            hertz in 25_000_000_u64..10_000_000_000,
            start in 0..1_u64 << 62,
            passed in 0..1_u64 << 62,
        ) {
            let exact = u128::from(passed) * 10_000_000 / u128::from(hertz);
            let clock = ReferenceTsc::new(hertz, start);
            let time = u128::from(clock.at(start + passed));
            // Each of the two roundings down costs one unit at most, and so does the start's.
            prop_assert!(time <= exact + 1 && time + 2 >= exact, "{time} is not {exact}");
        }

        #[test]
        fn the_guest_computes_the_same_from_the_page(
            hertz in 25_000_000_u64..10_000_000_000,
            start in any::<u64>(),
            tsc in any::<u64>(),
        ) {
            let clock = ReferenceTsc::new(hertz, start);
            let page = clock.page();
            let word = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().unwrap());
            // The upper half of the product, from 32-bit halves.
            let half = |word: u64| (word & 0xffff_ffff, word >> 32);
            let ((low, high), (low_scale, high_scale)) = (half(tsc), half(word(8)));
            let (first, second) = (low * high_scale, high * low_scale);
            let middle = ((low * low_scale) >> 32) + half(first).0 + half(second).0;
            let upper = high * high_scale + half(first).1 + half(second).1 + half(middle).1;
            prop_assert_eq!(clock.at(tsc), upper.wrapping_add(word(16)));
        }
    }
}
