// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every vector that there is, raised on every virtual CPU in every way that the host has: posted, asked for by
//! a message, and vector 2 as an NMI. L1 must bear it, and L2 must not notice what it did not configure.
//!
//! A virtual CPU's part begins when L1 has halted it once: an L1 that has no interrupt table yet can be ended by any
//! host, which proves nothing. From then on one vector is raised each time the host has the CPU.
//!
//! # Orderings
//! Relaxed: numbers counted down, no data with them.

#[cfg(target_os = "none")]
use alloc::vec::Vec;
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// How many vectors there are.
const VECTORS: u64 = 256;
/// The first vector that an APIC has.
const FIRST_POSTABLE: u8 = 16;
/// The vector of NMIs.
const NMI: u8 = 2;

/// How a vector is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raise {
    /// Which one.
    pub(crate) vector: u8,
    /// Its way besides a message.
    pub(crate) way: Way,
}

/// How the host interrupts a virtual CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the posted-interrupt descriptor.
    Posted,
    /// As an NMI.
    Nmi,
    /// By a message alone: no APIC has the vector.
    Message,
}

/// The campaign.
#[derive(Debug)]
pub(crate) struct Campaign {
    parts: Vec<Part>,
    rounds: u64,
}

/// What is left of it for one virtual CPU.
#[derive(Debug)]
struct Part {
    begun: AtomicBool,
    done: AtomicU64,
}

impl Campaign {
    /// So many rounds over all vectors on each of `cpus` virtual CPUs.
    pub(crate) fn new(rounds: u64, cpus: usize) -> Self {
        let part = |_| Part { begun: AtomicBool::new(false), done: AtomicU64::new(0) };
        Self { parts: (0..cpus).map(part).collect(), rounds }
    }

    /// L1 halts virtual CPU `cpu`.
    pub(crate) fn begin(&self, cpu: usize) {
        if let Some(part) = self.parts.get(cpu) {
            part.begun.store(true, Relaxed);
        }
    }

    /// What to raise next on virtual CPU `cpu`.
    pub(crate) fn next(&self, cpu: usize) -> Option<Raise> {
        let part = self.parts.get(cpu)?;
        if !part.begun.load(Relaxed) {
            return None;
        }
        let all = self.rounds.saturating_mul(VECTORS);
        let next = |done: u64| (done < all).then_some(done + 1);
        let done = part.done.fetch_update(Relaxed, Relaxed, next).ok()?;
        let vector = u8::try_from(done % VECTORS).unwrap_or(0);
        let way = match vector {
            NMI => Way::Nmi,
            FIRST_POSTABLE.. => Way::Posted,
            _ => Way::Message,
        };
        Some(Raise { vector, way })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rounds == 0
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rounds={}", self.rounds)?;
        let all = self.rounds.saturating_mul(VECTORS);
        let complete = self.parts.iter().filter(|part| part.done.load(Relaxed) == all).count();
        let raised: u64 = self.parts.iter().map(|part| part.done.load(Relaxed)).sum();
        write!(f, " raised={raised} complete={complete}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Campaign, Raise, Way};

    #[test]
    fn each_cpu_gets_each_vector_once_a_round_after_it_has_halted() {
        let campaign = Campaign::new(2, 2);
        assert_eq!(campaign.next(0), None, "not yet");
        campaign.begin(0);
        let raised: Vec<_> = core::iter::from_fn(|| campaign.next(0)).collect();
        assert_eq!(raised.len(), 512);
        let ways = |way| raised.iter().filter(|raise: &&Raise| raise.way == way).count();
        assert_eq!([Way::Nmi, Way::Message, Way::Posted].map(ways), [2, 30, 480]);
        assert!(raised.iter().zip((0..=255).cycle()).all(|(raise, vector)| raise.vector == vector));
        assert_eq!(campaign.next(1), None);
        assert_eq!(format!("{campaign}"), "rounds=2 raised=512 complete=1");
    }
}
