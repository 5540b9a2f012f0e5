// SPDX-License-Identifier: MIT OR Apache-2.0
//! One interrupt after each instruction that L1 executes from one `TDG.VP.ENTER` to the next.
//!
//! The emulator single-steps L1 and rings at the n-th boundary of the n-th way, for every n; it awaits each ring
//! at L2 and tells those that never came or came twice. The guest's handlers are the second witness.

use libtest_mimic::Trial;
use xtask::report::Sweep;

use crate::account;
use crate::figures;
use crate::stand::{Stand, Verdict, check, scenario};

/// The ends of the block of reserved vectors.
const FIRST: u8 = 0x40;
const LAST: u8 = 0x5f;

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    vec![
        scenario("sweep::no_instruction_of_a_relay_pass_loses_the_first_slot", || {
            relay_pass(1, FIRST, LAST)
        }),
        scenario("sweep::no_instruction_of_a_relay_pass_loses_the_last_slot", || {
            relay_pass(1, LAST, FIRST)
        }),
        scenario("sweep::no_instruction_of_an_idle_pass_loses_the_first_slot", || idle_pass(FIRST)),
        scenario("sweep::no_instruction_of_an_idle_pass_loses_the_last_slot", || idle_pass(LAST)),
        scenario("sweep::no_instruction_of_map_and_unmap_loses_an_interrupt", || {
            change(1, "change")
        }),
        scenario("sweep::no_instruction_of_an_unmap_elsewhere_loses_an_interrupt", || {
            change(2, "away")
        }),
    ]
}

/// L2 was interrupted: handler of the other end, drain, entry; and the same handler while it runs.
fn relay_pass(cpus: u32, vector: u8, starter: u8) -> Verdict {
    let stand = Stand::new(cpus, "scenario=sweep:pass count=1500");
    sweep(&stand, &format!("{vector}:1:{starter}:0"), exact)
}

/// L2 exited for an instruction, and nothing pends.
fn idle_pass(vector: u8) -> Verdict {
    let stand = Stand::new(1, "scenario=sweep:exit count=1500");
    sweep(&stand, &format!("{vector}:1:0:0"), exact)
}

/// L2 moves an entry to another vector: one mapping is made, another given back. So long a way is walked with all
/// 30 slots that do not change, each at its share of the boundaries and the ends of the block among them. Behind the
/// first ring the way is not quite the same as without any, so what is asserted is that some ring came before
/// each of its instructions, not how often that instruction had been executed by then.
fn change(cpus: u32, part: &str) -> Verdict {
    let stand = Stand::new(cpus, &format!("scenario=sweep:{part} count=300"));
    sweep(&stand, &format!("{}:30:0:0", FIRST + 17), |_| Ok(()))
}

/// Runs a sweep and checks what holds for every one: each boundary was rung at, each ring was taken once.
fn sweep(stand: &Stand, plan: &str, judge: fn(&Sweep) -> Verdict) -> Verdict {
    stand.clone().emulator_option(&format!("sweep={plan}")).run(|outcome| {
        let sweep = outcome.report.sweep.as_ref().ok_or("the report tells of no sweep")?;
        check!(sweep.lost + sweep.twice == 0, "lost or taken twice: {sweep:?}");
        check!(sweep.tardy == 0, "left lying while L2 ran: {sweep:?}");
        check!(sweep.inverted == 0, "L2 was entered with an RVI too low: {sweep:?}");
        let figures = account::balanced(outcome)?;
        let total = outcome.report.total();
        check!(total.merged == 0, "{} merged", total.merged);
        check!(
            figures::all(&outcome.report, "rings") == [figures.handled],
            "the guest's sums differ"
        );
        check!(sweep.complete, "not every boundary was met: {sweep:?}");
        check!(sweep.missed == 0, "instructions were left out: {sweep:?}");
        check!(sweep.unmapped == 0 && sweep.rings == sweep.delivered, "{sweep:?}");
        check!(sweep.positions > 0 && sweep.rips > 0, "nothing was walked through: {sweep:?}");
        judge(sweep)
    })
}

/// The way is the same each time: ring n is at the n-th instruction of it, and no n is left out. The last of them
/// come too late for L1 to take before it asks to enter: it is refused.
fn exact(sweep: &Sweep) -> Verdict {
    check!(sweep.rings == sweep.positions, "one ring for each boundary: {sweep:?}");
    check!(sweep.astray + sweep.short + sweep.more == 0, "the way is not the same: {sweep:?}");
    check!(sweep.refused > 0 && sweep.refused < sweep.rings, "odd refusals: {sweep:?}");
    Ok(())
}
