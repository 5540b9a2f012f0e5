// SPDX-License-Identifier: MIT OR Apache-2.0
//! What single posts cost: quiet, while the table is written, and while another CPU's table is.
//!
//! Samples count in groups. A group beside a writer counts only if the writer got on meanwhile, and
//! only if the empty call, sampled just before, shows no interference.

use std::time::Instant;

use super::{
    effort::Effort,
    pair::{Steps, against, alone},
};
use crate::{
    results::Tail,
    statistics::{Histogram, low},
    subject::{Session, Subject},
    ticks::Clock,
};

/// Samples in a group.
const GROUP: usize = 128;

/// How many steps the writer must have taken meanwhile for a group to count.
const STEPS: u64 = 3;

/// Groups after each look at the empty call.
const GROUPS: usize = 8;

/// Who writes meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Nobody.
    None,
    /// The other CPU, the table that is read.
    SameTable,
    /// The other CPU, its own table.
    OtherTable,
}

/// Adds what `subject` costs to `tails`; `empty` tells of interference.
pub fn sample(
    subject: &dyn Subject,
    empty: &dyn Subject,
    writer: Writer,
    (effort, clock): (&Effort, &Clock),
    tails: &mut Tails,
) {
    let window = if writer == Writer::None { effort.alone } else { effort.together };
    let measure = |steps: &Steps| {
        let start = Instant::now();
        subject.session(0, &mut |session| {
            empty.session(0, &mut |empty| {
                while start.elapsed() < window {
                    groups((session, empty), steps, (writer, clock), tails);
                }
            });
        });
    };
    match writer {
        Writer::None => alone(measure),
        Writer::SameTable => against(|turn| subject.write(0, turn), measure, || serve(subject)),
        Writer::OtherTable => {
            // That table's owner would serve its writer; here nobody is, so the writer serves itself.
            let step = |turn| {
                let done = subject.write(1, turn);
                subject.session(1, &mut |owner| owner.quiescent());
                done
            };
            against(step, measure, || {})
        }
    };
}

/// Lets a writer that waits for its reader see that there is one.
fn serve(subject: &dyn Subject) {
    subject.session(0, &mut |session| session.quiescent());
}

fn groups(
    (session, empty): (&dyn Session, &dyn Session),
    steps: &Steps,
    (writer, clock): (Writer, &Clock),
    tails: &mut Tails,
) {
    let mut samples = [0; GROUP];
    empty.samples(&mut samples);
    if disturbed(&mut samples, clock.step) {
        return;
    }
    for _ in 0..GROUPS {
        let before = steps.taken();
        session.samples(&mut samples);
        if writer == Writer::None || steps.taken() > before + STEPS {
            tails.add(&samples);
        }
    }
}

/// Whether samples of nothing say that the machine did something else.
fn disturbed(empty: &mut [u32], step: u64) -> bool {
    empty.sort_unstable();
    let at = |part: usize| empty.get(empty.len() * part / 100).copied().map_or(0.0, f64::from);
    at(98) > 1.5 * at(50) + step as f64
}

/// Tails of many blocks of samples, of which a low quantile stands for all: what comes with the code
/// comes in every block, what comes with the machine does not.
#[derive(Debug)]
pub struct Tails {
    step: u64,
    block: Histogram,
    blocks: Vec<[f64; 3]>,
    samples: u64,
    stalls: u64,
}

impl Tails {
    /// Samples in a block: the 99.9 % of it leave some above.
    const BLOCK: u64 = 8192;

    /// Returns one without samples, of a clock that moves in steps.
    #[must_use]
    pub fn new(step: u64) -> Self {
        Self { step, block: Histogram::new(), blocks: Vec::new(), samples: 0, stalls: 0 }
    }

    /// Counts all of `samples`.
    pub fn add(&mut self, samples: &[u32]) {
        self.block.add(samples);
        if self.block.total() >= Self::BLOCK {
            self.blocks.extend(self.of_block());
            self.samples += self.block.total();
            self.stalls += self.block.stalls();
            self.block.clear();
        }
    }

    fn of_block(&self) -> Option<[f64; 3]> {
        let at = |part| self.block.quantile(part, self.step);
        Some([at(0.5)?, at(0.99)?, at(0.999)?])
    }

    /// Returns what the blocks say, or an unfinished one if it is the only one.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        let mut blocks = self.blocks.clone();
        if blocks.is_empty() {
            blocks.extend(self.of_block());
        }
        let part = |index: usize| low(&blocks.iter().map(|block| block[index]).collect::<Vec<_>>());
        Some(Tail {
            p50_ticks: part(0)?,
            p99_ticks: part(1)?,
            p999_ticks: part(2)?,
            samples: self.samples + self.block.total(),
            stalls: self.stalls + self.block.stalls(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interference_shows_in_samples_of_nothing() {
        let mut calm = [52; 100];
        calm[..20].fill(26);
        assert!(!disturbed(&mut calm.clone(), 26));
        calm[..5].fill(2000);
        assert!(disturbed(&mut calm, 26));
    }

    #[test]
    fn a_disturbed_block_does_not_speak_for_all() {
        let mut tails = Tails::new(1);
        assert!(tails.tail().is_none());
        tails.add(&[7; 100]);
        assert_eq!(
            tails.tail().map(|tail| (tail.p50_ticks.round(), tail.samples)),
            Some((7.0, 100))
        );
        for block in 0..10 {
            let mut samples = vec![50; 8192];
            samples[..200].fill(if block == 3 { 9000 } else { 60 });
            samples[0] = u32::MAX;
            tails.add(&samples);
        }
        let tail = tails.tail().unwrap();
        assert!((tail.p99_ticks - 60.0).abs() < 1.0 && tail.p999_ticks < 61.0, "{tail:?}");
        assert_eq!((tail.samples, tail.stalls), (100 + 10 * 8191, 10));
    }
}
