// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bursts without an end: as soon as L2 on a CPU took every interrupt of a burst, the next one is rung there.
//!
//! L2 asks for it by a CPUID of [`flood::MARK`]. The CPU that asks has other work to do, so there the next burst waits
//! until L2 exits by itself: then L1 gets it while it handles that exit. What is rung are the lowest reserved vectors of each CPU, by the
//! IOMMU's table, so that no interrupt can merge with its predecessor: as many are taken as are rung, and that
//! is what the guest checks.
//!
//! # Orderings
//! Relaxed: a number counted down, no data with it.

use core::{
    fmt,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use spin::Mutex;

/// The CPUID leaf by which L2 asks for the flood.
pub(crate) const MARK: u64 = 0x4c59_4346;

/// Most CPUs.
const CPUS: usize = 16;

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Reserved vectors of each CPU that are rung, from the first of the block.
    pub(crate) lanes: u8,
    /// How many interrupts in all.
    pub(crate) total: u64,
}

/// The vectors of L2 that a CPU has still to take.
type Awaited = [u64; 4];

/// A flood.
#[derive(Debug)]
pub(crate) struct Flood {
    plan: Plan,
    /// The CPU that asked for it, [`CPUS`] before.
    source: AtomicUsize,
    left: AtomicU64,
    awaited: [Mutex<Awaited>; CPUS],
}

impl Flood {
    /// A flood by `plan`.
    pub(crate) const fn new(plan: Plan) -> Self {
        Self {
            plan,
            source: AtomicUsize::new(CPUS),
            left: AtomicU64::new(plan.total),
            awaited: [const { Mutex::new([0; 4]) }; CPUS],
        }
    }

    /// L2 asks for the flood on `cpu`.
    pub(crate) fn flow(&self, cpu: usize) {
        self.source.store(cpu, Relaxed);
    }

    /// Whether `cpu` asked for it.
    pub(crate) fn springs(&self, cpu: usize) -> bool {
        self.source.load(Relaxed) == cpu
    }

    /// Rings on `cpu` if it took all of the last burst. `ring` rings a reserved vector and says which vector of L2
    /// that becomes.
    pub(crate) fn burst(&self, cpu: usize, ring: impl Fn(u8) -> Option<u8>) {
        const FIRST_RESERVED: u8 = 0x40;
        if self.springs(CPUS) {
            return;
        }
        let Some(awaited) = self.awaited.get(cpu) else { return };
        let mut awaited = awaited.lock();
        if *awaited != [0; 4] {
            return;
        }
        for lane in 0..self.plan.lanes {
            if self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err() {
                return;
            }
            match ring(FIRST_RESERVED + lane) {
                Some(vector) => awaited[usize::from(vector / 64)] |= 1 << (vector % 64),
                None => {
                    self.left.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// L2 takes `vector` on `cpu`.
    pub(crate) fn delivered(&self, cpu: usize, vector: u8) {
        if let Some(awaited) = self.awaited.get(cpu) {
            awaited.lock()[usize::from(vector / 64)] &= !(1 << (vector % 64));
        }
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rung = self.plan.total - self.left.load(Relaxed);
        let awaited = |awaited: &Mutex<Awaited>| -> u32 {
            awaited.lock().iter().map(|word| word.count_ones()).sum()
        };
        let lost: u32 = self.awaited.iter().map(awaited).sum();
        write!(f, r#"{{"type":"flood","rung":{rung},"lost":{lost}}}"#)
    }
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;

    use super::{Flood, Plan};

    fn burst(flood: &Flood, cpu: usize) -> Vec<u8> {
        let rung = RefCell::new(Vec::new());
        flood.burst(cpu, |vector| {
            rung.borrow_mut().push(vector);
            Some(vector + 0x20)
        });
        rung.into_inner()
    }

    #[test]
    fn a_burst_follows_when_all_of_the_last_one_was_taken() {
        let flood = Flood::new(Plan { lanes: 2, total: 5 });
        assert_eq!(burst(&flood, 0), []);
        flood.flow(0);
        assert_eq!(burst(&flood, 0), [0x40, 0x41]);
        assert_eq!(burst(&flood, 0), []);
        flood.delivered(0, 0x60);
        assert_eq!(burst(&flood, 0), []);
        flood.delivered(0, 0x61);
        assert_eq!(burst(&flood, 0), [0x40, 0x41]);
        assert_eq!(burst(&flood, 1), [0x40], "no more than were asked for");
        assert_eq!(flood.to_string(), r#"{"type":"flood","rung":5,"lost":3}"#);
    }

    #[test]
    fn what_stands_for_nothing_is_not_counted() {
        let flood = Flood::new(Plan { lanes: 2, total: 5 });
        flood.flow(0);
        flood.burst(0, |vector| (vector == 0x40).then_some(0x60));
        assert_eq!(flood.to_string(), r#"{"type":"flood","rung":1,"lost":1}"#);
    }
}
