// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mappings that come and go, that there is no room for, or that never were.

use libtest_mimic::Trial;
use xtask::machine::Outcome;
use xtask::report::Row;

use crate::account::{self, DOORBELL};
use crate::figures;
use crate::stand::{Stand, Verdict, check, said, scenario};

/// Vectors that L1 sets aside on each CPU.
const BLOCK: u64 = 32;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("mapping::entries_change_under_fire_on_1_cpu", || under_fire(1)),
        scenario("mapping::entries_change_under_fire_on_2_cpus", || under_fire(2)),
        scenario("mapping::the_33rd_is_taken_by_another_cpu", || remote(33)),
        scenario("mapping::16_of_48_entries_are_taken_by_another_cpu", || remote(48)),
        scenario("mapping::what_another_cpu_takes_climbs_back", climb_from_remote),
        scenario("mapping::an_unmapped_entry_is_silent_on_1_cpu", || silence(1)),
        scenario("mapping::an_unmapped_entry_is_silent_on_2_cpus", || silence(2)),
    ]
}

/// Those that a host which proxies has no refusals for; `proxied` is about what it does instead.
pub(crate) fn refusals() -> Vec<Trial> {
    vec![
        scenario("mapping::the_33rd_is_refused_and_not_dropped", || refusal(33)),
        scenario("mapping::what_was_refused_climbs_back", climb_from_refusal),
    ]
}

/// Entries are masked, moved and switched off while they ring; in the end all works.
fn under_fire(cpus: u32) -> Verdict {
    Stand::new(cpus, "scenario=unmap vectors=8 count=300").run(|outcome| {
        account::balanced(outcome)?;
        let rung: u64 = outcome.peer.rung.iter().sum();
        let messages = outcome.report.total().messages;
        check!(messages <= rung, "{messages} messages from {rung} rings");
        // MSI-X is switched off now and then: everything goes, by one request to each CPU that has some.
        let counted = |what| said_count(outcome, what);
        let [teardowns, asked] = [counted("teardowns")?, counted("teardown_cpus")?];
        let most = teardowns * u64::from(cpus);
        check!(teardowns > 0, "nothing was let go at once");
        check!((teardowns..=most).contains(&asked), "{asked} CPUs asked for {teardowns} functions");
        check!(cpus == 1 || counted("teardown_kicks")? > 0, "nobody was kicked");
        check!(counted("teardowns_silent").is_err(), "an owner was silent");
        Ok(())
    })
}

/// A figure that L1 gives in the end.
fn said_count(outcome: &Outcome, what: &str) -> Result<u64, String> {
    let key = format!("count: {what}=");
    let lines = outcome.console.iter().filter(|line| line.starts_with("L1 | "));
    let mut values = lines.filter_map(|line| line.split_once(&key)?.1.trim().parse().ok());
    values.next_back().ok_or_else(|| format!("nothing is said of {what}"))
}

/// More entries than the only CPU's block: the guest sees each refusal, and L1 says so.
fn refusal(entries: u64) -> Verdict {
    Stand::new(1, &format!("scenario=exhaust vectors={entries}")).run(|outcome| {
        account::exact_but_for(outcome, BLOCK)?;
        accepted(outcome, BLOCK, entries - BLOCK)?;
        said(outcome, "L1 | ", "refused")?;
        said(outcome, "L1 | ", &listed(entries - 1, "refused", "block-full"))
    })
}

/// More entries than one CPU's block: the other CPU takes the rest for it, and each ring is still one
/// interrupt of the CPU that it is for.
fn remote(entries: u64) -> Verdict {
    Stand::new(2, &format!("scenario=exhaust vectors={entries}")).run(|outcome| {
        account::exact(outcome)?;
        accepted(outcome, entries, 0)?;
        for entry in 0..entries {
            ways(
                outcome,
                entry,
                if entry < BLOCK { &[("posted", 0, 0)] } else { &[("remote", 0, 1)] },
            )?;
        }
        said(outcome, "L1 | ", &listed(0, "posted", "slot-free"))?;
        said(outcome, "L1 | ", &listed(entries - 1, "remote", "block-full"))?;
        said(outcome, "L1 | ", "forwards: cpu=1 sent=")
    })
}

/// 16 entries move from the full CPU to the other; the 16 that this one took for it climb back.
fn climb_from_remote() -> Verdict {
    Stand::new(2, "scenario=climb vectors=48").run(|outcome| {
        account::exact(outcome)?;
        accepted(outcome, 48, 0)?;
        for entry in 0..48 {
            let wanted: &[Way] = match entry {
                0..16 => &[("posted", 0, 0), ("posted", 1, 1)],
                16..BLOCK => &[("posted", 0, 0)],
                _ => &[("posted", 0, 0), ("remote", 0, 1)],
            };
            ways(outcome, entry, wanted)?;
            said(outcome, "L1 | ", &listed(entry, "posted", "slot-free"))?;
        }
        Ok(())
    })
}

/// 16 entries leave the only CPU; of those that were refused, the guest sees that they no longer are.
fn climb_from_refusal() -> Verdict {
    Stand::new(1, "scenario=climb vectors=48").run(|outcome| {
        account::exact_but_for(outcome, BLOCK)?;
        accepted(outcome, BLOCK, 16)?;
        let climbed = ["climbed", "refused_still"].map(|key| figures::all(&outcome.report, key));
        check!(climbed == [[16], [0]], "{climbed:?} climbed, and did not");
        (16..48).try_for_each(|entry| {
            ways(outcome, entry, &[("posted", 0, 0)])?;
            said(outcome, "L1 | ", &listed(entry, "posted", "slot-free"))
        })
    })
}

/// The mode of a way, the CPU that it ends on, and the one that takes it.
type Way = (&'static str, u32, u32);

/// Checks by which ways an entry's interrupts came.
fn ways(outcome: &Outcome, entry: u64, wanted: &[Way]) -> Verdict {
    let of_entry = |row: &&Row| row.device == DOORBELL && u64::from(row.entry) == entry;
    let rows = outcome.report.rows.iter().filter(of_entry);
    let mut found: Vec<_> = rows.map(|row| (row.mode.as_str(), row.cpu, row.taker)).collect();
    found.sort_unstable();
    check!(found == wanted, "entry {entry} came by {found:?}, not {wanted:?}");
    Ok(())
}

/// Checks how many entries the guest says were accepted, and how many refused.
fn accepted(outcome: &Outcome, accepted: u64, refused: u64) -> Verdict {
    let found = ["accepted", "refused"].map(|key| figures::all(&outcome.report, key));
    check!(found == [[accepted], [refused]], "{found:?} accepted, and refused");
    Ok(())
}

/// What L1's list says of an entry.
fn listed(entry: u64, mode: &str, reason: &str) -> String {
    format!(" entry={entry} mode={mode} reason={reason} ")
}

/// Entries that are masked, or were never set up, are rung in vain.
fn silence(cpus: u32) -> Verdict {
    Stand::new(cpus, "scenario=spurious count=50").run(|outcome| {
        let figures = account::balanced(outcome)?;
        let rung: u64 = outcome.peer.rung.iter().sum();
        // Entry 0 twice 50, entry 1 once 50 and then masked 50, entry 2 never set up 50.
        check!((figures.handled, rung) == (150, 250), "{} handled of {rung} rung", figures.handled);
        Ok(())
    })
}
