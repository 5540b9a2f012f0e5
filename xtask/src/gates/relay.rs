// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs whose interrupts are counted: bursts of 1, 4 and 32, while L2 runs and while it halts; and one by one on
//! a host that does not post, but asks L1 by messages to pass them on.
//!
//! Instructions drive the clock, so what L1 executes for an interrupt is the same each time; when the
//! outside end rings is the host's time, so how many interrupts a pass finds is not.

use core::time::Duration;
use std::collections::BTreeMap;

use super::{
    Measured,
    passes::{Pass, PerThousand, passes},
    proxied,
};
use crate::{
    Failure, Result,
    builds::Builds,
    guest::Guest,
    image::Image,
    machine::{Clock, Exit, Machine},
    progress::step,
    qemu::Qemu,
    report::{Report, TraceEvent},
};

/// Interrupts that are sent at once, and how often.
const BURSTS: [(u64, u32); 3] = [(1, 100), (4, 50), (32, 10)];

/// What L2 does meanwhile, and how it is told to.
const WAITS: [(&str, &str); 2] = [("running", "poll"), ("halted", "halt")];

const LIMIT: Duration = Duration::from_secs(180);

/// Takes down what interrupts cost in all of these runs.
pub(crate) fn measure(builds: &Builds, qemu: &Qemu, into: &mut Measured) -> Result<()> {
    for (burst, rounds) in BURSTS {
        for (state, wait) in WAITS {
            let line = format!("scenario=burst vectors={burst} count={rounds} wait={wait} cpus=1");
            let report = step("measure", &line, || run(builds, qemu, &line, Machine::default()))?;
            let passes = relayed(&report, burst * u64::from(rounds), passes);
            let passes = passes.map_err(|why| Failure::new(format!("{line}: {why}")))?;
            let name = format!("burst_{burst}.{state}");
            exits(&name, &passes, into);
            let whole =
                passes.iter().filter(|pass| pass.interrupts == burst && pass.charges.refused == 0);
            let whole: Vec<_> = whole.collect();
            instructions(
                &name,
                "vector_to_entry",
                whole.iter().map(|pass| pass.instructions),
                into,
            );
            let stopped = whole.iter().filter(|pass| pass.stopped_l2 && state == "running");
            instructions(&name, "whole_pass", stopped.map(|pass| pass.whole), into);
        }
    }
    WAITS.into_iter().try_for_each(|wait| by_messages(builds, qemu, wait, into))
}

/// Takes down what an interrupt costs on a host that does not post.
fn by_messages(
    builds: &Builds,
    qemu: &Qemu,
    (state, wait): (&str, &str),
    into: &mut Measured,
) -> Result<()> {
    const ROUNDS: u32 = 100;
    let line = format!("scenario=burst vectors=1 count={ROUNDS} wait={wait} cpus=1");
    let (host, options) = ("hyperv".to_owned(), vec!["redirect=0".to_owned()]);
    let machine = Machine { host, options, ..Machine::default() };
    let report =
        step("measure", &format!("proxied: {line}"), || run(builds, qemu, &line, machine))?;
    let passes = relayed(&report, ROUNDS.into(), proxied::passes);
    let passes = passes.map_err(|why| Failure::new(format!("proxied: {line}: {why}")))?;
    let name = format!("proxied.{state}");
    exits(&name, &passes, into);
    instructions(&name, "vector_to_entry", passes.iter().map(|pass| pass.instructions), into);
    let stopped = passes.iter().filter(|pass| pass.stopped_l2 && state == "running");
    instructions(&name, "whole_pass", stopped.map(|pass| pass.whole), into);
    Ok(())
}

fn run(builds: &Builds, qemu: &Qemu, line: &str, machine: Machine) -> Result<Report> {
    let image = Image::assemble(builds, "log=info cpus=1", &Guest::relay(builds)?, line)?;
    let machine = Machine { clock: Clock::Instructions, trace: true, limit: LIMIT, ..machine };
    let outcome = machine.run(qemu, builds, &image)?;
    if outcome.exit == Exit::SUCCESS {
        return Ok(outcome.report);
    }
    Err(Failure::new(format!("{line}: {}\n{}", outcome.exit, outcome.console.join("\n"))))
}

/// Returns the passes of a run that relayed `interrupts`, none of which was lost and all of which are
/// still in the trace.
fn relayed(
    report: &Report,
    interrupts: u64,
    passes: fn(&[TraceEvent], u32) -> Vec<Pass>,
) -> core::result::Result<Vec<Pass>, String> {
    let total = report.total();
    if (total.relayed, total.lost) != (interrupts, 0) {
        return Err(format!("{} relayed, {} lost", total.relayed, total.lost));
    }
    let passes = passes(&report.trace, 0);
    let seen: u64 = passes.iter().map(|pass| pass.interrupts).sum();
    if seen == interrupts {
        Ok(passes)
    } else {
        Err(format!("of {interrupts} interrupts {seen} are in the trace"))
    }
}

fn exits(name: &str, passes: &[Pass], into: &mut Measured) {
    let PerThousand { passes, stops_of_l2, host_exits, tdvmcalls, fields, refused } =
        PerThousand::of(passes);
    for (what, rate) in [
        ("tdvmcalls", tdvmcalls),
        ("host_exits", host_exits),
        ("fields", fields),
        ("stops_of_l2", stops_of_l2),
        ("entries", passes + refused),
        ("refused", refused),
    ] {
        into.insert(format!("exits.{name}.{what}"), rate);
    }
}

/// Takes down what the passes cost that found the burst whole.
#[expect(clippy::cast_precision_loss, reason = "a pass has a few hundred instructions")]
pub(super) fn instructions(
    name: &str,
    what: &str,
    figures: impl Iterator<Item = u64>,
    into: &mut Measured,
) {
    if let Some(number) = commonest(figures) {
        into.insert(format!("icount.{name}.{what}"), number as f64);
    }
}

/// The commonest of `numbers`, the greatest of several such: an interrupt of the host's own may come in
/// between.
fn commonest(numbers: impl Iterator<Item = u64>) -> Option<u64> {
    let mut counts = BTreeMap::<u64, u32>::new();
    numbers.for_each(|number| *counts.entry(number).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::commonest;

    #[test]
    fn the_commonest_number_counts() {
        assert_eq!(commonest([5, 7, 5, 9].into_iter()), Some(5));
        assert_eq!(commonest([7, 5].into_iter()), Some(7));
        assert_eq!(commonest([].into_iter()), None);
    }
}
