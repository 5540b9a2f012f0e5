// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the host notifies all CPUs.
//!
//! Each CPU asks the host by itself, since the request holds for the CPU that makes it. The service is
//! there when all have succeeded. If one fails, the others step back: there is no call that takes a
//! request back, so their vector stays the host's for ever and notifications on it are only counted, but
//! nothing rests on them.
//!
//! # Orderings
//! One word, changed by read-modify-writes only. Release and Acquire, so that who sees the service also
//! sees what each CPU made ready before it reported.

use crate::sync::{AtomicU32, Ordering, const_unless_loom};

const WITHDRAWN: u32 = 1 << 31;

/// How far the set-up is. There are at most 31 CPUs.
#[derive(Debug)]
pub struct SetUp(AtomicU32);

/// What can be said of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Some CPUs have not asked yet.
    Pending,
    /// Every CPU is notified.
    Ready,
    /// At least one is not, so none relies on it.
    Withdrawn,
}

impl SetUp {
    const_unless_loom! {
        /// Nobody has asked.
        pub fn new() -> Self { Self(AtomicU32::new(0)) }
    }

    /// CPU `cpu` is notified from now on. Returns [`Standing::Withdrawn`] if that does not count any more.
    pub fn succeeded(&self, cpu: usize) -> Standing {
        let bit = Self::bit(cpu);
        if bit == 0 {
            return self.failed().0;
        }
        let before = self.0.fetch_or(bit, Ordering::AcqRel);
        if before & WITHDRAWN == 0 { Standing::Pending } else { Standing::Withdrawn }
    }

    /// A CPU is not. Returns the standing, and how many CPUs step back by this report: none if the
    /// service was withdrawn before.
    pub fn failed(&self) -> (Standing, u32) {
        let before = self.0.fetch_or(WITHDRAWN, Ordering::AcqRel);
        let stepped_back = if before & WITHDRAWN == 0 { before.count_ones() } else { 0 };
        (Standing::Withdrawn, stepped_back)
    }

    /// What holds for `cpus` CPUs.
    #[must_use]
    pub fn standing(&self, cpus: usize) -> Standing {
        let word = self.0.load(Ordering::Acquire);
        let all = Self::bit(cpus).wrapping_sub(1);
        if word & WITHDRAWN != 0 {
            Standing::Withdrawn
        } else if word == all {
            Standing::Ready
        } else {
            Standing::Pending
        }
    }

    /// No bit for a CPU that there is none for.
    fn bit(cpu: usize) -> u32 {
        u32::try_from(cpu).ok().and_then(|cpu| 1_u32.checked_shl(cpu)).unwrap_or(0) & !WITHDRAWN
    }
}

#[cfg(not(loom))]
impl Default for SetUp {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{SetUp, Standing};

    #[test]
    fn the_service_is_there_when_all_have_it() {
        let set_up = SetUp::new();
        for cpu in [1, 0, 2] {
            assert_eq!(set_up.standing(3), Standing::Pending);
            assert_eq!(set_up.succeeded(cpu), Standing::Pending);
        }
        assert_eq!(set_up.standing(3), Standing::Ready);
    }

    #[test]
    fn one_failure_makes_all_others_step_back_once() {
        let set_up = SetUp::new();
        set_up.succeeded(0);
        set_up.succeeded(1);
        assert_eq!(set_up.failed(), (Standing::Withdrawn, 2));
        assert_eq!(set_up.failed(), (Standing::Withdrawn, 0));
        assert_eq!(set_up.succeeded(4), Standing::Withdrawn);
        assert_eq!(set_up.standing(5), Standing::Withdrawn);
    }

    #[test]
    fn a_cpu_that_there_is_no_place_for_is_a_failure() {
        let set_up = SetUp::new();
        set_up.succeeded(0);
        assert_eq!(set_up.succeeded(31), Standing::Withdrawn);
        assert_eq!(set_up.standing(1), Standing::Withdrawn);
    }
}
