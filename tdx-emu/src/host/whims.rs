// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a seed makes of the host: which acts it is given to, how often, and with which words.
//!
//! | act           | what the host does                                                        |
//! |---------------|---------------------------------------------------------------------------|
//! | `cpuid`       | answers CPUID with any registers                                          |
//! | `ports`       | answers reads of ports, configuration space among them                    |
//! | `memory`      | answers reads of device memory                                            |
//! | `msrs`        | answers RDMSR and WRMSR                                                   |
//! | `services`    | lists services, and answers the set-up of a notification                  |
//! | `conversion`  | answers MapGPA                                                            |
//! | `quotes`      | answers GetQuote, and makes quotes in any manner                          |
//! | `hypercalls`  | answers hypercalls of Hyper-V's kind                                      |
//! | `lies`        | any call was done, and the status says something else                     |
//! | `halts`       | a halt ends for no reason                                                 |
//! | `notify`      | notifies in vain, and twice                                               |
//! | `silence`     | does not notify                                                           |
//! | `vectors`     | posts any vector to any virtual CPU                                       |
//! | `nmis`        | sends NMIs                                                                |
//! | `scribble`    | changes memory that L1 shares, also while L1 reads it                     |
//!
//! A seed chooses one to three acts and how rare they are. The n-th word that is drawn depends on nothing but the
//! seed and n; which call draws it depends on how the CPUs run, so a seed names a campaign, not a run to the bit.
//!
//! # Orderings
//! Relaxed: counters, no data with them.

use core::{
    fmt,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// What the host may do; the table of the module says what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Cpuid,
    Ports,
    Memory,
    Msrs,
    Services,
    Conversion,
    Quotes,
    Hypercalls,
    Lies,
    Halts,
    Notify,
    Silence,
    Vectors,
    Nmis,
    Scribble,
}

const ACTS: [(Act, &str); 15] = [
    (Act::Cpuid, "cpuid"),
    (Act::Ports, "ports"),
    (Act::Memory, "memory"),
    (Act::Msrs, "msrs"),
    (Act::Services, "services"),
    (Act::Conversion, "conversion"),
    (Act::Quotes, "quotes"),
    (Act::Hypercalls, "hypercalls"),
    (Act::Lies, "lies"),
    (Act::Halts, "halts"),
    (Act::Notify, "notify"),
    (Act::Silence, "silence"),
    (Act::Vectors, "vectors"),
    (Act::Nmis, "nmis"),
    (Act::Scribble, "scribble"),
];

/// Acts of one seed, at most.
const AT_ONCE: u64 = 3;
const MAX_RARITY_SHIFT: u64 = 5;
/// By so much what is seldom is less rare.
const SELDOM: u64 = 16;

const PAGE: u64 = 4096;

impl Act {
    /// Whether a run has only a few occasions for it.
    const fn is_seldom(self) -> bool {
        matches!(
            self,
            Self::Cpuid | Self::Services | Self::Conversion | Self::Quotes | Self::Hypercalls
        )
    }
}

/// The whims of one host.
#[derive(Debug)]
pub(crate) struct Whims {
    seed: u64,
    acts: u32,
    /// One of so many occasions is taken.
    rarity: u64,
    drawn: AtomicU64,
    done: [AtomicU32; ACTS.len()],
}

/// A number that looks like chance: the finalizer of `SplitMix64`.
const fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

impl Whims {
    /// Those of `seed`; without one, none.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let mut whims = Self {
            seed: seed.unwrap_or(0),
            acts: 0,
            rarity: 1,
            drawn: AtomicU64::new(0),
            done: [const { AtomicU32::new(0) }; ACTS.len()],
        };
        if seed.is_some() {
            for _ in 0..=whims.word() % AT_ONCE {
                let act = whims.word() % ACTS.len() as u64;
                whims.acts |= 1 << act;
            }
            whims.rarity = 2 << (whims.word() % (MAX_RARITY_SHIFT + 1));
        }
        whims
    }

    /// Whether the host has none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.acts == 0
    }

    /// Whether the host is given to `act`.
    pub(crate) const fn has(&self, act: Act) -> bool {
        self.acts >> act as u32 & 1 != 0
    }

    /// An occasion for `act`: a word if it is taken.
    pub(crate) fn take(&self, act: Act) -> Option<u64> {
        if !self.has(act) {
            return None;
        }
        let word = self.word();
        let rarity = if act.is_seldom() { 1 + self.rarity / SELDOM } else { self.rarity };
        if !(word >> 32).is_multiple_of(rarity) {
            return None;
        }
        self.count(act);
        Some(word)
    }

    /// Counts an act that was done without an occasion of its own.
    pub(crate) fn count(&self, act: Act) {
        if let Some(done) = self.done.get(act as usize) {
            done.fetch_add(1, Relaxed);
        }
    }

    /// The next word.
    pub(crate) fn word(&self) -> u64 {
        let number = self.drawn.fetch_add(1, Relaxed);
        mix(self.seed.wrapping_add(1 + number).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.seed)
    }

    /// A value for a register that held `before`: often one that means something.
    pub(crate) fn value(&self, before: u64) -> u64 {
        let word = self.word();
        match word & 15 {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 1 << 63 | word >> 62,
            4 => before.wrapping_add(PAGE),
            5 => before.wrapping_sub(PAGE),
            6 => before ^ 1 << (word >> 8 & 63),
            7 => 1 << (word >> 8 & 63),
            8 => word >> 56,
            9 => word >> 32,
            10 | 11 => before,
            _ => self.word(),
        }
    }
}

impl fmt::Display for Whims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={} rarity={}", self.seed, self.rarity)?;
        let acts = ACTS.iter().zip(&self.done);
        for ((_, name), done) in acts.filter(|((act, _), _)| self.has(*act)) {
            write!(f, " {name}={}", done.load(Relaxed))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ACTS, Act, Whims};

    #[test]
    fn without_a_seed_nothing_is_done() {
        let whims = Whims::new(None);
        assert!(whims.is_empty());
        assert!(ACTS.iter().all(|(act, _)| whims.take(*act).is_none()));
    }

    #[test]
    fn a_seed_has_one_to_three_acts_and_all_acts_have_seeds() {
        let mut all = 0;
        for seed in 0..100 {
            let whims = Whims::new(Some(seed));
            assert!((1..=3).contains(&whims.acts.count_ones()), "{seed}");
            assert!((2..=64).contains(&whims.rarity));
            all |= whims.acts;
        }
        assert_eq!(all.count_ones(), u32::try_from(ACTS.len()).unwrap());
    }

    #[test]
    fn a_seed_draws_the_same_words_again_and_another_one_others() {
        let words = |seed| {
            let whims = Whims::new(Some(seed));
            (0..8).map(|_| whims.word()).collect::<Vec<_>>()
        };
        assert_eq!(words(7), words(7));
        assert_ne!(words(7), words(8));
    }

    #[test]
    fn an_occasion_is_taken_as_often_as_the_seed_says_and_counted() {
        let seed = (0..).find(|seed| Whims::new(Some(*seed)).has(Act::Vectors)).unwrap();
        let whims = Whims::new(Some(seed));
        let occasions = 10_000 * whims.rarity;
        let taken = (0..occasions).filter(|_| whims.take(Act::Vectors).is_some()).count();
        assert!((9_000..11_000).contains(&taken), "{taken}");
        assert!(whims.to_string().contains(&format!(" vectors={taken}")), "{whims}");
    }
}
