// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run whose interrupts come by a line: what L1 does from the host's vector to L2, and from L2's end of
//! the interrupt back to L2, in between which the host is told of the end.

use core::time::Duration;

use super::{
    Measured,
    events::{Charges, PENDING_INTERRUPT, is_entry, of_cpu},
    relay::instructions,
};
use crate::{
    Failure, Result,
    builds::Builds,
    guest::Guest,
    image::Image,
    machine::{Clock, Exit, Machine},
    progress::step,
    qemu::Qemu,
    report::TraceEvent,
};

/// Interrupts of the run.
const COUNT: u64 = 100;

/// Where the pin of the machine's device leads.
const ROUTE: &str = "intx=00:01.0,A,21,level,high";

/// The vectors that L1 has for lines.
const VECTORS: core::ops::Range<u32> = 0x60..0x68;

/// `EXIT_REASON_VIRTUALIZED_EOI`.
const VIRTUALIZED_EOI: u64 = 45;

const LIMIT: Duration = Duration::from_secs(180);

/// Takes down what interrupts cost in this run.
pub(crate) fn measure(builds: &Builds, qemu: &Qemu, into: &mut Measured) -> Result<()> {
    let line = format!("scenario=intx:plain count={COUNT} wait=poll cpus=1");
    let events = step("measure", &line, || run(builds, qemu, &line))?;
    let costs = Costs::of(&events);
    if (costs.to_entry.len() as u64, costs.ends.len() as u64) != (COUNT, COUNT) {
        let Costs { to_entry, ends, .. } = &costs;
        let (told, ended) = (to_entry.len(), ends.len());
        let why =
            format!("{line}: of {COUNT} interrupts {told} came and {ended} ended in the trace");
        return Err(Failure::new(why));
    }
    for (what, sum) in [
        ("tdvmcalls", costs.charges.tdvmcalls),
        ("host_exits", costs.charges.host_exits),
        ("fields", costs.charges.fields),
        ("stops_of_l2", costs.whole.len() as u64),
        ("ends", costs.ends.len() as u64),
    ] {
        into.insert(format!("exits.line.{what}"), per_thousand(sum));
    }
    instructions("line", "vector_to_entry", costs.to_entry.into_iter(), into);
    instructions("line", "whole_pass", costs.whole.into_iter(), into);
    instructions("line", "end_to_call", costs.to_call.into_iter(), into);
    instructions("line", "end_to_entry", costs.ends.into_iter(), into);
    Ok(())
}

fn run(builds: &Builds, qemu: &Qemu, line: &str) -> Result<Vec<TraceEvent>> {
    let words = format!("log=info cpus=1 {ROUTE}");
    let image = Image::assemble(builds, &words, &Guest::relay(builds)?, line)?;
    let machine =
        Machine { clock: Clock::Instructions, trace: true, limit: LIMIT, ..Machine::default() };
    let outcome = machine.run(qemu, builds, &image)?;
    if outcome.exit == Exit::SUCCESS {
        return Ok(outcome.report.trace);
    }
    Err(Failure::new(format!("{line}: {}\n{}", outcome.exit, outcome.console.join("\n"))))
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn per_thousand(sum: u64) -> f64 {
    (sum * 10_000 / COUNT) as f64 / 10.0
}

/// What came of a run, in instructions of L1 and in events.
#[derive(Debug, Default, PartialEq, Eq)]
struct Costs {
    /// From a line's vector to the entry of L2.
    to_entry: Vec<u64>,
    /// The same from the exit of L2 that the vector had caused.
    whole: Vec<u64>,
    /// From the exit by which L2 ends an interrupt to the call that tells the host of it.
    to_call: Vec<u64>,
    /// From the same exit to the next entry.
    ends: Vec<u64>,
    /// What else was done in all of those.
    charges: Charges,
}

/// Since L2 was left last.
#[derive(Debug, Default)]
struct Stay {
    stopped_at: Option<u64>,
    ended_at: Option<u64>,
    told_at: Option<u64>,
    called_at: Option<u64>,
    charges: Charges,
}

impl Costs {
    fn of(events: &[TraceEvent]) -> Self {
        let (mut costs, mut stay) = (Self::default(), Stay::default());
        for event in of_cpu(events, 0) {
            costs.follow(&mut stay, event);
        }
        costs
    }

    fn follow(&mut self, stay: &mut Stay, event: &TraceEvent) {
        match event.event.as_str() {
            "l2_exit" => {
                let at = |is: bool| is.then_some(event.l1);
                let (status, reason) = (event.arg >> 32, event.arg & 0xffff);
                *stay = Stay {
                    stopped_at: at(status == PENDING_INTERRUPT),
                    ended_at: at((status, reason) == (0, VIRTUALIZED_EOI)),
                    ..Stay::default()
                };
            }
            "l1_vector" if VECTORS.contains(&event.vector) => stay.told_at = Some(event.l1),
            "tdvmcall" => {
                stay.called_at.get_or_insert(event.l1);
                stay.charges.add(event);
            }
            _ if is_entry(event) => self.enter(core::mem::take(stay), event.l1),
            _ => stay.charges.add(event),
        }
    }

    fn enter(&mut self, stay: Stay, now: u64) {
        let since = |then: Option<u64>| then.map(|then| now.saturating_sub(then));
        self.to_entry.extend(since(stay.told_at));
        self.whole.extend(since(stay.stopped_at.filter(|_| stay.told_at.is_some())));
        self.ends.extend(since(stay.ended_at));
        let to_call = |ended: u64| Some(stay.called_at?.saturating_sub(ended));
        self.to_call.extend(stay.ended_at.and_then(to_call));
        if stay.told_at.is_some() || stay.ended_at.is_some() {
            self.charges.add_all(stay.charges);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Charges, Costs};
    use crate::report::TraceEvent;

    fn event(ts: u64, l1: u64, event: &str, vector: u32, arg: u64) -> TraceEvent {
        TraceEvent { ts, l1, cpu: 0, event: event.to_owned(), vector, arg }
    }

    #[test]
    fn an_interrupt_comes_in_one_pass_and_ends_in_another() {
        let events = [
            event(1, 100, "l2_exit", 0, 0x1102 << 32),
            event(2, 130, "l1_vector", 0x60, 0),
            event(3, 200, "vp_enter", 0x56, 1),
            event(4, 200, "l2_exit", 0, 45),
            event(5, 230, "tdvmcall", 0, 48),
            event(6, 230, "td_exit", 0, 77),
            event(7, 260, "vp_enter", 0, 1),
            event(8, 260, "l2_exit", 0, 30),
            event(9, 270, "tdvmcall", 0, 30),
            event(10, 280, "vp_enter", 0, 1),
        ];
        let costs = Costs::of(&events);
        assert_eq!((&costs.to_entry[..], &costs.whole[..]), (&[70][..], &[100][..]));
        assert_eq!((&costs.to_call[..], &costs.ends[..]), (&[30][..], &[60][..]));
        let Charges { tdvmcalls, host_exits, fields, .. } = costs.charges;
        assert_eq!((tdvmcalls, host_exits, fields), (1, 1, 0));
    }
}
