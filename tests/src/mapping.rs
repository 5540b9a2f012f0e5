// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mappings that come and go, that there is no room for, or that never were.

use libtest_mimic::Trial;

use crate::account;
use crate::figures;
use crate::stand::{Stand, Verdict, check, said, scenario};

/// Vectors that L1 sets aside on each CPU.
const BLOCK: u64 = 32;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("mapping::entries_change_under_fire_on_1_cpu", || under_fire(1)),
        scenario("mapping::entries_change_under_fire_on_2_cpus", || under_fire(2)),
        scenario("mapping::the_33rd_is_refused_and_not_dropped", || refusal(1, 33)),
        scenario("mapping::the_33rd_finds_room_on_another_cpu", || refusal(2, 33)),
        scenario("mapping::48_entries_find_room_on_2_cpus", || refusal(2, 48)),
        scenario("mapping::an_unmapped_entry_is_silent_on_1_cpu", || silence(1)),
        scenario("mapping::an_unmapped_entry_is_silent_on_2_cpus", || silence(2)),
    ]
}

/// Entries are masked, moved and switched off while they ring; in the end all works.
fn under_fire(cpus: u32) -> Verdict {
    Stand::new(cpus, "scenario=unmap vectors=8 count=300").run(|outcome| {
        account::balanced(outcome)?;
        let rung: u64 = outcome.peer.rung.iter().sum();
        let messages = outcome.report.total().messages;
        check!(messages <= rung, "{messages} messages from {rung} rings");
        Ok(())
    })
}

/// More entries than one CPU's block: the guest sees each refusal, and L1 says so.
fn refusal(cpus: u32, entries: u64) -> Verdict {
    Stand::new(cpus, &format!("scenario=exhaust vectors={entries}")).run(|outcome| {
        account::balanced(outcome)?;
        let accepted = figures::all(&outcome.report, "accepted");
        let refused = figures::all(&outcome.report, "refused");
        let over = entries - BLOCK;
        let wanted =
            if cpus == 1 { (vec![BLOCK], vec![over]) } else { (vec![BLOCK, over], vec![over, 0]) };
        check!(
            (&accepted, &refused) == (&wanted.0, &wanted.1),
            "accepted {accepted:?}, refused {refused:?}, wanted {wanted:?}"
        );
        said(outcome, "L1 | ", "refused")
    })
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
