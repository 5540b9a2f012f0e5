// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts by vector, in as few lines as say everything.

/// Consecutive vectors with the same count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first one.
    pub first: u8,
    /// The last one.
    pub last: u8,
    /// How often each of them was counted; not 0.
    pub count: u64,
}

/// Yields the vectors that `count` counts, lowest first.
pub fn runs(count: impl Fn(u8) -> u64) -> impl Iterator<Item = Run> {
    let mut next = Some(0_u8);
    core::iter::from_fn(move || {
        let mut run = None;
        while let Some(vector) = next {
            let same = count(vector);
            match &mut run {
                None if same == 0 => {}
                None => run = Some(Run { first: vector, last: vector, count: same }),
                Some(Run { last, count, .. }) if *count == same => *last = vector,
                Some(_) => break,
            }
            next = vector.checked_add(1);
        }
        run
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Run, runs};

    #[test]
    fn all_that_is_counted_is_said_once() {
        let count = |vector: u8| match vector {
            0 | 255 => 7,
            32..=40 => 2,
            41 => 3,
            _ => 0,
        };
        let run = |first, last, count| Run { first, last, count };
        let expected = [run(0, 0, 7), run(32, 40, 2), run(41, 41, 3), run(255, 255, 7)];
        assert_eq!(runs(count).collect::<Vec<_>>(), expected);
        assert_eq!(runs(|_| 0).count(), 0);
        assert_eq!(runs(|_| 4).collect::<Vec<_>>(), [run(0, 255, 4)]);
    }
}
