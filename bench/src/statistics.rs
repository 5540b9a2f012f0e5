// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is made of many measurements on a machine that others use, too.
//!
//! Noise only adds. So what repeats a cost is summed up by a low quantile of batches. A tail is one of
//! single samples in blocks, again by a low quantile of the blocks, and only samples count beside
//! which a call that does nothing shows that nobody interfered. Samples beyond [`Histogram::LIMIT`](crate::statistics::Histogram::LIMIT) are preemptions; they are counted apart.

/// The quantile of batches that stands for a cost.
const LOW: f64 = 0.2;

/// Returns the low quantile of `values`, or `None` if there are none.
#[must_use]
pub fn low(values: &[f64]) -> Option<f64> {
    quantile(values, LOW)
}

/// Returns the value below which `part` of `values` lie.
#[must_use]
pub fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(place(sorted.len(), part)).copied()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a length is a small number that is not negative"
)]
fn place(count: usize, part: f64) -> usize {
    ((count as f64 * part.clamp(0.0, 1.0)) as usize).min(count.saturating_sub(1))
}

/// Returns the mean of `samples` without those above three times the median: interrupts.
///
/// A mean, because a clock that moves in steps is right on average only.
#[must_use]
pub fn trimmed_mean(samples: &mut [u32]) -> f64 {
    samples.sort_unstable();
    let limit = samples.get(samples.len() / 2).map_or(0, |median| median.saturating_mul(3));
    let kept = &samples[..samples.partition_point(|sample| *sample <= limit)];
    kept.iter().map(|sample| f64::from(*sample)).sum::<f64>() / kept.len().max(1) as f64
}

/// How often each duration was seen.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
    stalls: u64,
}

impl Histogram {
    /// What takes longer, in ticks, is no cost of the code.
    pub const LIMIT: usize = 100_000;

    /// Returns an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { counts: vec![0; Self::LIMIT], total: 0, stalls: 0 }
    }

    /// Counts all of `samples`.
    pub fn add(&mut self, samples: &[u32]) {
        for sample in samples {
            let count = usize::try_from(*sample).ok().and_then(|ticks| self.counts.get_mut(ticks));
            match count {
                Some(count) => {
                    *count += 1;
                    self.total += 1;
                }
                None => self.stalls += 1,
            }
        }
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        (self.total, self.stalls) = (0, 0);
    }

    /// Returns how many samples there are, stalls apart.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns how many samples were too long to be counted.
    #[must_use]
    pub fn stalls(&self) -> u64 {
        self.stalls
    }

    /// Returns the duration below which `part` of the samples lie, or `None` if there are none.
    ///
    /// A clock that moves in steps reads a duration as one of two multiples of the step, in a
    /// proportion that tells where between them it lies; so the samples of a multiple are taken to
    /// lie evenly within half a step on both sides of it.
    #[must_use]
    pub fn quantile(&self, part: f64, step: u64) -> Option<f64> {
        let wanted = part * self.total as f64;
        let mut below = 0.0;
        for (ticks, count) in self.counts.iter().enumerate().filter(|(_, count)| **count != 0) {
            let count = f64::from(*count);
            if below + count >= wanted {
                let within = (wanted - below) / count - 0.5;
                return Some((ticks as f64 + within * (step as f64)).max(0.0));
            }
            below += count;
        }
        None
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_low_quantile_leaves_noise_out() {
        let mut values = vec![10.0; 10];
        values.extend([500.0; 30]);
        assert_eq!(low(&values), Some(10.0));
        assert_eq!(low(&[]), None);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 1.0), Some(3.0));
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
    }

    #[test]
    fn a_trimmed_mean_leaves_interrupts_out() {
        assert!((trimmed_mean(&mut [9000, 10, 10, 12, 12]) - 11.0).abs() < 1e-9);
        assert!((trimmed_mean(&mut [26, 52, 52]) - 130.0 / 3.0).abs() < 1e-9);
        assert!((trimmed_mean(&mut [7]) - 7.0).abs() < 1e-9);
        assert!(trimmed_mean(&mut []).abs() < 1e-9);
    }

    #[test]
    fn a_coarse_clock_is_read_between_its_steps() {
        let mut histogram = Histogram::new();
        histogram.add(&[vec![26; 500], vec![52; 500]].concat());
        let median = histogram.quantile(0.5, 26);
        assert_eq!(median, Some(39.0));
        assert_eq!(histogram.quantile(0.999, 26).map(f64::round), Some(65.0));
        assert_eq!(Histogram::new().quantile(0.5, 26), None);
    }

    #[test]
    fn stalls_are_counted_apart() {
        let mut histogram = Histogram::new();
        histogram.add(&[10, 10, u32::MAX, 100_000]);
        assert_eq!((histogram.total(), histogram.stalls()), (2, 2));
        assert_eq!(histogram.quantile(1.0, 1).map(f64::round), Some(11.0));
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_stay_within_a_step_of_a_sample(
            samples in prop::collection::vec(0_u32..5000, 1..300), part in 0.0..1.0_f64,
        ) {
            let mut histogram = Histogram::new();
            histogram.add(&samples);
            let value = histogram.quantile(part, 1).unwrap();
            prop_assert!(samples.iter().any(|sample| (f64::from(*sample) - value).abs() <= 1.0));
            prop_assert!(histogram.quantile(1.0, 1).unwrap() >= value);
        }
    }
}
