// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same run twice: by instructions instead of time, it is the same to the last figure.
//!
//! Only the edu device's DMA timer is fit for this, for its clock is the machine's own. The
//! doorbell's outside end lives in the host's time.

use libtest_mimic::Trial;
use xtask::machine::Outcome;

use crate::account;
use crate::stand::{Stand, Verdict, check, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("repeatable::two_runs_on_1_cpu_have_one_transcript", || twice(1)),
        scenario("repeatable::two_runs_on_2_cpus_have_one_transcript", || twice(2)),
    ]
}

/// Runs twice and compares everything but the time it took.
fn twice(cpus: u32) -> Verdict {
    let stand = Stand::new(cpus, "scenario=edu-dma count=3").by_instructions();
    let first = stand.outcome()?;
    stand.run(|second| {
        account::exact(second)?;
        same_console(&first, second)?;
        check!(
            first.report == second.report,
            "the reports differ: {:?} and {:?}",
            first.report.end,
            second.report.end
        );
        Ok(())
    })
}

/// Checks that both transcripts are the same, line by line.
fn same_console(first: &Outcome, second: &Outcome) -> Verdict {
    for (one, other) in first.console.iter().zip(&second.console) {
        check!(one == other, "the transcripts differ:\n  {one}\n  {other}");
    }
    let (one, other) = (first.console.len(), second.console.len());
    check!(one == other, "the transcripts have {one} and {other} lines");
    Ok(())
}
