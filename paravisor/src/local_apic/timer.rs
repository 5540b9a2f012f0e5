// SPDX-License-Identifier: MIT OR Apache-2.0
//! The APIC timer as deadlines of the TSC, which is what the TDX module can wait for.
//!
//! A period may be as short as one tick, but ends of it that would follow each other faster than L1 can
//! pass them on are not all delivered: else an L2 that asks for such a period would never run again.
//!
//! Spec: SDM "APIC Timer", "TSC-Deadline Mode".

/// The shortest time between two ends of a period, in ticks of the timer before division: 200 µs at the
/// 25 MHz that L2 is told of.
const SHORTEST_PERIOD: u64 = 5_000;

/// The timer of one virtual CPU.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    ratio: u64,
    mode: Mode,
    divide: u32,
    initial: u32,
    deadline: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    OneShot,
    Periodic,
    Deadline,
}

impl Timer {
    /// After reset. One tick before division is `ratio` ticks of the TSC.
    #[must_use]
    pub const fn new(ratio: u64) -> Self {
        Self { ratio, mode: Mode::OneShot, divide: 0, initial: 0, deadline: None }
    }

    /// When the timer ends, if it runs.
    #[must_use]
    pub const fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Whether the timer has ended by `now`. If so, a periodic one runs on and another one stops.
    pub fn expire(&mut self, now: u64) -> bool {
        let Some(deadline) = self.deadline.filter(|deadline| *deadline <= now) else {
            return false;
        };
        self.deadline = match self.mode {
            // Periods that were missed altogether are not made up for.
            Mode::Periodic if self.period() > 0 => {
                let missed = (now - deadline) / self.period();
                let next = (missed + 1).saturating_mul(self.period());
                let shortest = self.ratio.saturating_mul(SHORTEST_PERIOD);
                let earliest = if self.period() < shortest { shortest } else { 0 };
                Some(deadline.saturating_add(next).max(now.saturating_add(earliest)))
            }
            _ => None,
        };
        true
    }

    /// Sets the mode by bits 18:17 of the local vector. Going to or from TSC-deadline mode stops it.
    pub fn set_mode(&mut self, bits: u32) {
        let mode = match bits {
            1 => Mode::Periodic,
            2 => Mode::Deadline,
            _ => Mode::OneShot,
        };
        if (mode == Mode::Deadline) != (self.mode == Mode::Deadline) {
            self.deadline = None;
            self.initial = 0;
        }
        self.mode = mode;
    }

    /// Starts counting down from `count`, or stops at 0. Nothing in TSC-deadline mode.
    pub fn set_initial_count(&mut self, count: u32, now: u64) {
        if self.mode == Mode::Deadline {
            return;
        }
        self.initial = count;
        self.deadline = (count > 0).then(|| now.saturating_add(self.period()));
    }

    /// Sets `IA32_TSC_DEADLINE`; 0 stops it. Nothing in the other modes.
    pub fn set_deadline(&mut self, deadline: u64) {
        if self.mode == Mode::Deadline {
            self.deadline = (deadline > 0).then_some(deadline);
        }
    }

    /// What `IA32_TSC_DEADLINE` reads.
    #[must_use]
    pub fn read_deadline(&self) -> u64 {
        self.deadline.filter(|_| self.mode == Mode::Deadline).unwrap_or(0)
    }

    /// The initial count.
    #[must_use]
    pub const fn initial_count(&self) -> u32 {
        self.initial
    }

    /// What is left of the count.
    #[must_use]
    pub fn current_count(&self, now: u64) -> u32 {
        if self.mode == Mode::Deadline {
            return 0;
        }
        let left = self.deadline.map_or(0, |deadline| deadline.saturating_sub(now));
        u32::try_from(left / self.tick().max(1)).unwrap_or(u32::MAX)
    }

    /// The divide configuration.
    #[must_use]
    pub const fn divide(&self) -> u32 {
        self.divide
    }

    /// Sets the divide configuration, whose reserved bits are clear.
    pub const fn set_divide(&mut self, divide: u32) {
        self.divide = divide;
    }

    fn period(&self) -> u64 {
        u64::from(self.initial).saturating_mul(self.tick())
    }

    /// TSC ticks of one count.
    fn tick(&self) -> u64 {
        let bits = self.divide & 3 | self.divide >> 1 & 4;
        let divisor = if bits == 7 { 1 } else { 2 << bits };
        self.ratio.saturating_mul(divisor)
    }
}

#[cfg(test)]
mod tests {
    use super::Timer;

    #[test]
    fn one_shot_ends_once() {
        let mut timer = Timer::new(40);
        timer.set_divide(0xb);
        timer.set_initial_count(100, 1000);
        assert_eq!(timer.deadline(), Some(5000));
        assert_eq!(timer.current_count(3000), 50);
        assert!(!timer.expire(4999));
        assert!(timer.expire(5000));
        assert!(!timer.expire(6000));
    }

    #[test]
    fn periodic_runs_on_and_drops_what_was_missed() {
        let mut timer = Timer::new(1);
        timer.set_mode(1);
        timer.set_divide(0xb);
        timer.set_initial_count(10_000, 0);
        assert!(timer.expire(10_000));
        assert_eq!(timer.deadline(), Some(20_000));
        assert!(timer.expire(55_500));
        assert_eq!(timer.deadline(), Some(60_000));
    }

    #[test]
    fn a_period_of_one_tick_leaves_time_for_something_else() {
        let mut timer = Timer::new(40);
        timer.set_mode(1);
        timer.set_divide(0xb);
        timer.set_initial_count(1, 0);
        assert_eq!(timer.deadline(), Some(40));
        assert!(timer.expire(50));
        assert_eq!(timer.deadline(), Some(50 + 40 * super::SHORTEST_PERIOD));
    }

    #[test]
    fn the_deadline_needs_its_mode_and_zero_stops_it() {
        let mut timer = Timer::new(40);
        timer.set_deadline(7);
        assert_eq!((timer.deadline(), timer.read_deadline()), (None, 0));
        timer.set_mode(2);
        timer.set_deadline(7);
        assert_eq!((timer.deadline(), timer.read_deadline()), (Some(7), 7));
        timer.set_initial_count(5, 0);
        assert_eq!(timer.deadline(), Some(7), "counts do nothing here");
        timer.set_deadline(0);
        assert_eq!(timer.deadline(), None);
        timer.set_deadline(7);
        timer.set_mode(0);
        assert_eq!(timer.deadline(), None, "another mode stops it");
    }

    #[test]
    fn division_follows_the_table() {
        for (configuration, divisor) in [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (0xa, 128)] {
            let mut timer = Timer::new(1);
            timer.set_divide(configuration);
            timer.set_initial_count(1, 0);
            assert_eq!(timer.deadline(), Some(divisor));
        }
    }

    #[test]
    fn no_count_overflows() {
        let mut timer = Timer::new(u64::MAX);
        timer.set_mode(1);
        timer.set_initial_count(u32::MAX, u64::MAX);
        assert!(timer.expire(u64::MAX));
        assert_eq!(timer.current_count(0), 1);
    }
}
