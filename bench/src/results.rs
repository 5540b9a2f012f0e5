// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that a run found out, as the JSON has it.
//!
//! The names of the fields are the JSON's; `null` stands for what was not measured. Durations are in
//! the unit that the field's name ends with; ticks are those of the time-stamp counter, with what
//! reading it costs still in them.

use serde::Serialize;

use crate::{ticks::Clock, variant::About, variant::Family};

/// The version of the schema: the number grows when a field changes its meaning or goes away.
pub const SCHEMA: &str = "lychgate-bench/1";

/// The patterns of pending vectors that drains are measured with.
pub const PATTERNS: [Pattern; 5] = [
    Pattern { name: "0", count: 0, stride: 7 },
    Pattern { name: "1", count: 1, stride: 7 },
    Pattern { name: "4 spread", count: 4, stride: 57 },
    Pattern { name: "32 contiguous", count: 32, stride: 1 },
    Pattern { name: "32 spread", count: 32, stride: 7 },
];

/// Which vectors pend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What it is called.
    pub name: &'static str,
    /// How many vectors.
    pub count: usize,
    /// How far apart.
    pub stride: usize,
}

impl Pattern {
    /// Returns 32 vectors, of which the first ones pend; contiguous ones fill one dword.
    #[must_use]
    pub fn vectors(self) -> Vec<u8> {
        let first = if self.stride == 1 { 0x60 } else { 32 };
        let vector = |index| u8::try_from(first + index * self.stride % 224).unwrap_or(u8::MAX);
        (0..32).map(vector).collect()
    }
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Where it ran.
    pub machine: Machine,
    /// What was measured, and how much.
    pub run: Run,
    /// What the machine's memory costs.
    pub line: Line,
    /// From an interrupt to a pending bit.
    pub posts: Vec<Post>,
    /// From pending bits to L2's virtual APIC.
    pub drains: Vec<Drained>,
    /// Changing a mapping.
    pub remaps: Vec<Remap>,
    /// What the figures say of the goals.
    pub goals: Vec<Goal>,
}

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many CPUs the program may use.
    pub cpus: usize,
    /// How many programs wanted to run, on average over the minute before.
    pub load: f64,
    /// The kernel.
    pub kernel: String,
    /// The clock.
    pub clock: Clock,
}

/// The circumstances of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The bench's version.
    pub version: &'static str,
    /// The compiler's version.
    pub compiler: String,
    /// How it was built.
    pub profile: String,
    /// Whether it was a short run.
    pub quick: bool,
    /// How often all variants took their turn.
    pub rounds: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Whether instructions were counted, by callgrind.
    pub instructions_counted: bool,
}

/// A cache line that another CPU has just written.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Line {
    /// What reading it costs, without what reading the clock costs.
    pub miss_ticks: Option<f64>,
    /// What reading the clock costs.
    pub clock_ticks: Option<f64>,
}

/// Durations of single interrupts: in blocks of 8,192, a low quantile of the blocks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Tail {
    /// Half of them are shorter.
    pub p50_ticks: f64,
    /// 99 % are shorter.
    pub p99_ticks: f64,
    /// 99.9 % are shorter.
    pub p999_ticks: f64,
    /// How many they are.
    pub samples: u64,
    /// How many more were so long that the thread must have been preempted, or waited for one that was.
    pub stalls: u64,
}

/// One way of posting.
#[derive(Clone, Debug, Serialize)]
pub struct Post {
    /// What it is.
    #[serde(flatten)]
    pub about: About,
    /// Instructions of one post, its return included.
    pub instructions: Option<f64>,
    /// One post among many, on one CPU.
    pub alone_ns: Option<f64>,
    /// One post among many, while the other CPU does the same.
    pub together_ns: Option<f64>,
    /// Single posts while nobody writes.
    pub quiet: Option<Tail>,
    /// Single posts while the other CPU writes the same table all the time.
    pub storm: Option<Tail>,
    /// Single posts while the other CPU writes its own table all the time.
    pub other_table: Option<Tail>,
}

/// One way of draining.
#[derive(Clone, Debug, Serialize)]
pub struct Drained {
    /// Its name; stays the same.
    pub id: &'static str,
    /// Its name for a person.
    pub name: &'static str,
    /// What kind of design it is.
    pub family: Family,
    /// One drain for each pattern, in the order of [`PATTERNS`].
    pub at_rest: Vec<AtRest>,
    /// Single drains while the other CPU posts all the time.
    pub storm: Option<Tail>,
}

/// A drain of one pattern.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AtRest {
    /// What pends.
    pub pattern: &'static str,
    /// Instructions, the return included.
    pub instructions: Option<f64>,
    /// Cycles of the core, without what the clock and the call cost.
    pub cycles: Option<f64>,
}

/// What it costs to add one mapping to many and to take it away again.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Remap {
    /// How many mappings there are.
    pub mappings: usize,
    /// Into a list that is searched for the same mapping first.
    pub list_map_ns: Option<f64>,
    /// Out of that list, from a place that may be any.
    pub list_unmap_ns: Option<f64>,
    /// Ours.
    pub ours_map_ns: Option<f64>,
    /// Ours, the owner's part included.
    pub ours_unmap_ns: Option<f64>,
}

/// A goal and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// Its name.
    pub id: &'static str,
    /// What is asked.
    pub what: String,
    /// What was measured.
    pub measured: Option<f64>,
    /// The bound.
    pub bound: f64,
    /// Whether the measured value must not be above the bound, or not below.
    pub must_be: Bound,
    /// Whether it is met; nothing if it was not measured.
    pub met: Option<bool>,
}

/// Which side of a bound is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Lower is better.
    AtMost,
    /// Higher is better.
    AtLeast,
}

impl Results {
    /// Returns the post called `id`.
    #[must_use]
    pub fn post(&self, id: &str) -> Option<&Post> {
        self.posts.iter().find(|post| post.about.id == id)
    }

    /// Returns the drain called `id`.
    #[must_use]
    pub fn drain(&self, id: &str) -> Option<&Drained> {
        self.drains.iter().find(|drain| drain.id == id)
    }

    /// Returns the whole as JSON.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl Drained {
    /// Returns the figures of the pattern called `name`.
    #[must_use]
    pub fn pattern(&self, name: &str) -> Option<&AtRest> {
        self.at_rest.iter().find(|at_rest| at_rest.pattern == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_what_they_are_called() {
        for pattern in PATTERNS {
            let vectors = pattern.vectors();
            let all: std::collections::BTreeSet<_> = vectors.iter().collect();
            assert!(all.len() == 32 && vectors.iter().all(|vector| *vector >= 32), "{pattern:?}");
        }
        let dwords = |pattern: Pattern| -> std::collections::BTreeSet<_> {
            pattern.vectors()[..pattern.count].iter().map(|vector| vector / 32).collect()
        };
        assert_eq!(PATTERNS.map(|pattern| dwords(pattern).len()), [0, 1, 4, 1, 7]);
    }
}
