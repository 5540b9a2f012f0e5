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
    statistics::Histogram,
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

/// Adds what `subject` costs to `histogram`; `empty` tells of interference.
pub fn sample(
    subject: &dyn Subject,
    empty: &dyn Subject,
    writer: Writer,
    (effort, clock): (&Effort, &Clock),
    histogram: &mut Histogram,
) {
    let window = if writer == Writer::None { effort.alone } else { effort.together };
    let measure = |steps: &Steps| {
        let start = Instant::now();
        subject.session(0, &mut |session| {
            empty.session(0, &mut |empty| {
                while start.elapsed() < window {
                    groups((session, empty), steps, (writer, clock), histogram);
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
    histogram: &mut Histogram,
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
            histogram.add(&samples);
        }
    }
}

/// Whether samples of nothing say that the machine did something else.
fn disturbed(empty: &mut [u32], step: u64) -> bool {
    empty.sort_unstable();
    let at = |part: usize| empty.get(empty.len() * part / 100).copied().map_or(0.0, f64::from);
    at(98) > 1.5 * at(50) + step as f64
}

/// Returns what a histogram says, if enough samples counted.
#[must_use]
pub fn tail(histogram: &Histogram, clock: &Clock) -> Option<Tail> {
    let at = |part| histogram.quantile(part, clock.step);
    Some(Tail {
        p50_ticks: at(0.5)?,
        p99_ticks: at(0.99)?,
        p999_ticks: at(0.999)?,
        samples: histogram.total(),
        stalls: histogram.stalls(),
    })
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
}
