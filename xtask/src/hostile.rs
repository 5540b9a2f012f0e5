// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs with a host that does what a seed says, and how they are judged.
//!
//! The host may spoil a run but not L1: a guest that gives up because a device answered nonsense was let down by
//! the host, and says so. What must hold in each run:
//!
//! - nobody panics, and L1 raises no exception;
//! - no interrupt that was posted is lost, as far as the guest could still take it;
//! - L2 takes no vector that it has not configured;
//! - an end other than success has a reason, and the host has done something that explains it.

use std::collections::HashMap;

use crate::machine::{Exit, Outcome};

/// CPUs of the TD.
pub const CPUS: u32 = 2;

/// What is run for a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The guest's command line.
    pub guest: &'static str,
    /// More words for the paravisor.
    pub paravisor: &'static str,
    /// What the host speaks.
    pub host: &'static str,
}

/// Guests that do what a host can disturb: interrupts of devices, mappings that change, quotes, shared memory.
const GUESTS: [&str; 4] = [
    "scenario=demo",
    "scenario=quotes count=4",
    "scenario=paced count=40",
    "scenario=unmap count=20",
];

/// What the host speaks.
const HOSTS: [&str; 2] = ["ghci", "hyperv"];

/// The run of a seed. The emulated host takes its acts from the same seed.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let pick = |number: u64, of: usize| usize::try_from(number % 64).unwrap_or(0) % of;
    Plan {
        guest: GUESTS[pick(seed, GUESTS.len())],
        paravisor: "identity=hyperv",
        host: HOSTS[pick(seed / 4, HOSTS.len())],
    }
}

/// What the host has done, by the names of its acts.
#[derive(Clone, Debug, Default)]
struct Deeds(HashMap<String, u64>);

/// Acts that change what a guest, or L1, is told.
const ANSWERS: [&str; 9] =
    ["cpuid", "ports", "memory", "msrs", "services", "conversion", "quotes", "hypercalls", "lies"];
/// Acts by which interrupts are missing, or their messages are not what they were.
const MISSING: [&str; 2] = ["silence", "scribble"];

/// What the emulator says of a run that came to no end.
const TURNED_OFF: &str = "the host has turned the TD off";

impl Deeds {
    /// As the emulator tells them at the end.
    fn of(outcome: &Outcome) -> Option<Self> {
        let line = outcome.console.iter().find_map(|line| line.split_once("hostile: seed="))?.1;
        let words = line.split_whitespace().filter_map(|word| word.split_once('='));
        Some(Self(words.filter_map(|(key, n)| Some((key.to_owned(), n.parse().ok()?))).collect()))
    }

    fn any(&self, acts: &[&str]) -> bool {
        acts.iter().any(|act| self.0.get(*act).is_some_and(|count| *count > 0))
    }

    fn told(&self) -> String {
        let acts = self.0.iter().filter(|(name, _)| *name != "rarity");
        let mut acts: Vec<_> = acts.map(|(name, count)| format!("{name}={count}")).collect();
        acts.sort();
        acts.join(" ")
    }
}

/// Judges a run; what it says begins with how the run ended.
///
/// # Errors
///
/// What does not hold.
pub fn judge(outcome: &Outcome) -> Result<String, String> {
    let lines = || outcome.console.iter().map(String::as_str);
    if let Some(line) = lines().find(|line| line.contains("panic at") || line.contains("panicked"))
    {
        return Err(format!("a panic: {line}"));
    }
    if let Some(line) = lines().find(|line| line.contains("reason=unexpected")) {
        return Err(format!("L2 took a vector that it has not configured: {line}"));
    }
    let deeds =
        Deeds::of(outcome).ok_or_else(|| format!("{}: the host is silent", outcome.exit))?;
    let message = outcome.report.end.as_ref().map_or("", |end| end.message.as_str());
    match &outcome.exit {
        &Exit::SUCCESS => {
            nothing_lost(outcome, &deeds).map(|()| format!("success; the host: {}", deeds.told()))
        }
        &Exit::FAILURE => {
            nothing_lost(outcome, &deeds)?;
            let reason = lines().find_map(|line| Some(line.split_once("ok=0 ")?.1));
            let reason = reason.or_else(|| lines().rfind(|line| line.contains("error")));
            let reason = reason.ok_or("the run ends in failure without a reason")?;
            explained(reason, &deeds)?;
            Ok(format!("the guest gave up: {reason}; the host: {}", deeds.told()))
        }
        &Exit::TD_DIED if message.contains("fatal error") => {
            let is_own = message.contains("exception") || message.contains("#VE");
            if is_own || !message.contains("host") {
                return Err(format!("L1 ended, and not because of the host: {message}"));
            }
            Ok(format!("L1 gave up: {message}; the host: {}", deeds.told()))
        }
        &Exit::TD_DIED if message.contains(TURNED_OFF) => {
            nothing_lost(outcome, &deeds)?;
            explained("it waits for ever", &deeds)?;
            Ok(format!("waiting was in vain; the host: {}", deeds.told()))
        }
        other => Err(format!("{other}: {message}; the host: {}", deeds.told())),
    }
}

/// Row by row: what was posted was taken, or merged with what was already there. More than was posted may be taken,
/// for the host may post what it likes.
fn nothing_lost(outcome: &Outcome, deeds: &Deeds) -> Result<(), String> {
    let spoilt = deeds.any(&MISSING) || deeds.any(&ANSWERS);
    let counts = |row: &&crate::report::Row| row.mode != "proxied" || !spoilt;
    match outcome.report.rows.iter().filter(counts).find(|row| row.lost > 0) {
        Some(row) => Err(format!("lost: {row:?}; the host: {}", deeds.told())),
        None => Ok(()),
    }
}

/// Whether the host has done what explains why a guest gave up.
fn explained(reason: &str, deeds: &Deeds) -> Result<(), String> {
    let has_more = ["invented", "not-silent", "count"].iter().any(|word| reason.contains(word));
    // Ringing what L2 has configured is every host's right.
    let may_ring = has_more && deeds.any(&["vectors"]);
    let is_explained = may_ring || deeds.any(&ANSWERS) || deeds.any(&MISSING);
    if is_explained {
        Ok(())
    } else {
        Err(format!("the guest gave up: {reason}; that is not explained by: {}", deeds.told()))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{judge, plan};
    use crate::{
        machine::{Exit, Outcome},
        report::{End, Report, Row},
    };

    fn outcome(exit: Exit, lines: &[&str], message: &str, lost: i64) -> Outcome {
        let end = End { message: message.to_owned(), ..End::default() };
        let rows = vec![Row { lost, mode: "posted".to_owned(), ..Row::default() }];
        Outcome {
            exit,
            console: lines.iter().map(|line| (*line).to_owned()).collect(),
            report: Report { rows, end: Some(end), ..Report::default() },
            duration: Duration::ZERO,
            peer: ivshmem_peer::Summary::default(),
        }
    }

    const PORTS: &str = "L0 | info  hostile: seed=5 rarity=8 ports=3 vectors=0";
    const VECTORS: &str = "L0 | info  hostile: seed=5 rarity=8 ports=0 vectors=9";

    #[test]
    fn all_seeds_have_a_run() {
        assert_ne!(plan(0).guest, plan(1).guest);
        assert_ne!(plan(0).host, plan(4).host);
    }

    #[test]
    fn a_good_end_needs_that_nothing_is_lost() {
        assert!(judge(&outcome(Exit::SUCCESS, &[VECTORS], "", 0)).is_ok());
        assert!(judge(&outcome(Exit::SUCCESS, &[VECTORS], "", -3)).is_ok());
        assert!(judge(&outcome(Exit::SUCCESS, &[VECTORS], "", 1)).is_err());
        assert!(judge(&outcome(Exit::SUCCESS, &[], "", 0)).is_err(), "the host says nothing");
    }

    #[test]
    fn a_panic_and_a_strange_vector_are_never_explained() {
        let panic = "L1 | cpu 0: panic at src/x.rs:3: no";
        let strange =
            "L2 | result scenario=demo ok=0 handled=3 reason=unexpected vector=7 handled=1";
        for line in [panic, strange] {
            assert!(judge(&outcome(Exit::FAILURE, &[line, PORTS], "", 0)).is_err(), "{line}");
            assert!(judge(&outcome(Exit::SUCCESS, &[line, PORTS], "", 0)).is_err(), "{line}");
        }
    }

    #[test]
    fn a_guest_that_gives_up_was_told_nonsense_or_rung_too_often() {
        let gone = "L2 | result scenario=demo ok=0 handled=3 reason=no-device device=edu";
        assert!(judge(&outcome(Exit::FAILURE, &[gone, PORTS], "", 0)).is_ok());
        assert!(judge(&outcome(Exit::FAILURE, &[gone, VECTORS], "", 0)).is_err());
        let more =
            "L2 | result scenario=demo ok=0 handled=3 reason=invented entry=1 rung=1 handled=2";
        assert!(judge(&outcome(Exit::FAILURE, &[more, VECTORS], "", -1)).is_ok());
        assert!(judge(&outcome(Exit::FAILURE, &[PORTS], "", 0)).is_err(), "no reason");
    }

    #[test]
    fn l1_gives_up_because_of_the_host_or_not_at_all() {
        let died = |message| judge(&outcome(Exit::TD_DIED, &[PORTS], message, 0));
        assert!(
            died("the TD reports a fatal error: message=cpu 0: the host answered RETRY").is_ok()
        );
        assert!(died("the TD reports a fatal error: message=cpu 0: no idea").is_err());
        assert!(
            died("the TD reports a fatal error: message=cpu 0: exception of the host").is_err()
        );
        assert!(died("the TD died: a triple fault").is_err());
        assert!(died("the host has turned the TD off").is_ok(), "it was told nonsense");
        let kept = outcome(Exit::TD_DIED, &[VECTORS], "the host has turned the TD off", 0);
        assert!(judge(&kept).is_err(), "nothing was kept from it");
        assert!(judge(&outcome(Exit::TimedOut, &[PORTS], "", 0)).is_err());
    }
}
