// SPDX-License-Identifier: MIT OR Apache-2.0
//! One interrupt after each instruction that L1 executes from one `TDG.VP.ENTER` to the next.
//!
//! The emulator single-steps L1 and rings at the n-th boundary of the n-th way, for every n; it awaits each ring
//! at L2 and tells those that never came or came twice. The guest's handlers are the second witness.
//!
//! One ring a way sees most: a second one, later on the same way, would hide that the first had been forgotten.

use libtest_mimic::Trial;
use xtask::machine::Outcome;
use xtask::report::Sweep;

use crate::account;
use crate::figures;
use crate::stand::{Stand, Verdict, check, scenario};

/// What is asked of a sweep beyond what holds for every one.
type Judge = fn(&Outcome, &Sweep) -> Verdict;

/// The ends of the block of reserved vectors, and one between them.
const FIRST: u8 = 0x40;
const LAST: u8 = 0x5f;
const MIDDLE: u8 = 0x48;

/// The vector that the guest's CPU 1 sends to CPU 0 for each interrupt that it takes.
const ECHO: u8 = 85;

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
        SERVED.with(LAST),
    ]
    .into_iter()
    .chain(MODES.into_iter().flat_map(|mode| [FIRST, LAST].map(|vector| mode.with(vector))))
    .collect()
}

/// A sweep with either end of the block.
#[derive(Clone, Copy, Debug)]
struct Mode {
    /// What is swept, for the name of the scenario.
    name: &'static str,
    /// What the guest does, and how often at most.
    part: &'static str,
    count: u32,
    lanes: u8,
    cpus: u32,
    /// The CPU whose vector is rung.
    target: u8,
    starter: Starter,
    /// Another vector that comes of it, if L2 sends one.
    echo: Option<u8>,
    judge: Judge,
}

/// What makes L2 exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Starter {
    /// Itself.
    None,
    /// A vector in the middle of the block.
    Middle,
    /// The vector at the other end of the block.
    OtherEnd,
}

const MODES: [Mode; 9] = [
    Mode::one("a_relay_pass_by_way_of_a_bank", "pass+level", banked).started(Starter::Middle),
    Mode::one("an_idle_pass_by_way_of_a_bank", "exit+level", banked),
    Mode::two("a_relay_pass_of_cpu_1", "pass+on1", 1, direct).started(Starter::OtherEnd),
    Mode::two("an_idle_pass_of_cpu_1", "exit+on1", 1, direct),
    Mode::two("a_relay_pass_that_takes_for_cpu_1", "pass+full1", 0, passed_on)
        .started(Starter::OtherEnd),
    Mode::two("an_idle_pass_of_cpu_1_that_takes_for_cpu_0", "exit+full0+on1", 1, passed_on),
    Mode::two("a_relay_pass_that_cpu_1_takes_for", "pass+full0", 1, passed_on)
        .started(Starter::OtherEnd),
    Mode::two("an_idle_pass_of_cpu_1_that_cpu_0_takes_for", "exit+full1+on1", 0, passed_on),
    Mode::two("an_idle_pass_that_an_ipi_meets", "exit+echo", 1, echoed).sending(ECHO),
];

/// This way is long by its loops. It is gone once for each of its instructions, with one end of the block only.
const SERVED: Mode = Mode {
    count: 1000,
    lanes: 0,
    ..Mode::two("a_pass_of_cpu_1_that_serves_an_unmap", "served+on1", 1, any)
};

impl Mode {
    const fn one(name: &'static str, part: &'static str, judge: Judge) -> Self {
        let (starter, echo) = (Starter::None, None);
        Self { name, part, count: 800, lanes: 1, cpus: 1, target: 0, starter, echo, judge }
    }

    const fn two(name: &'static str, part: &'static str, target: u8, judge: Judge) -> Self {
        Self { cpus: 2, target, ..Self::one(name, part, judge) }
    }

    const fn started(self, starter: Starter) -> Self {
        Self { starter, ..self }
    }

    const fn sending(self, echo: u8) -> Self {
        Self { echo: Some(echo), ..self }
    }

    /// The scenario that rings `vector`.
    fn with(self, vector: u8) -> Trial {
        let (end, other) = if vector == FIRST { ("first", LAST) } else { ("last", FIRST) };
        let starter = match self.starter {
            Starter::None => 0,
            Starter::Middle => MIDDLE,
            Starter::OtherEnd => other,
        };
        let Self { name, part, count, lanes, cpus, target, echo, judge, .. } = self;
        scenario(format!("sweep::no_instruction_of_{name}_loses_the_{end}_slot"), move || {
            let stand = Stand::new(cpus, &format!("scenario=sweep:{part} count={count}"));
            let echo = echo.map_or(String::new(), |echo| format!(":{echo}"));
            sweep(&stand, &format!("{vector}:{lanes}:{starter}:{target}{echo}"), judge)
        })
    }
}

/// L2 was interrupted: handler of the other end, drain, entry; and the same handler while it runs.
fn relay_pass(cpus: u32, vector: u8, starter: u8) -> Verdict {
    let stand = Stand::new(cpus, "scenario=sweep:pass count=1500");
    sweep(&stand, &format!("{vector}:1:{starter}:0"), direct)
}

/// L2 exited for an instruction, and nothing pends.
fn idle_pass(vector: u8) -> Verdict {
    let stand = Stand::new(1, "scenario=sweep:exit count=1500");
    sweep(&stand, &format!("{vector}:1:0:0"), direct)
}

/// L2 moves an entry to another vector: one mapping is made, another given back. So long a way is walked with all
/// 30 slots that do not change, each at its share of the boundaries and the ends of the block among them. Behind the
/// first ring the way is not quite the same as without any, so what is asserted is that some ring came before
/// each of its instructions, not how often that instruction had been executed by then.
fn change(cpus: u32, part: &str) -> Verdict {
    let stand = Stand::new(cpus, &format!("scenario=sweep:{part} count=300"));
    sweep(&stand, &format!("{}:30:0:0", FIRST + 17), any)
}

/// Runs a sweep and checks what holds for every one: each boundary was rung at, each ring was taken once.
fn sweep(stand: &Stand, plan: &str, judge: Judge) -> Verdict {
    stand.clone().emulator_option(&format!("sweep={plan}")).run(|outcome| {
        let sweep = outcome.report.sweep.as_ref().ok_or("the report tells of no sweep")?;
        check!(sweep.unanswered == 0, "another CPU did not post in time: {sweep:?}");
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
        check!(sweep.unmapped == 0 && sweep.rings + sweep.starts == sweep.delivered, "{sweep:?}");
        check!(sweep.positions > 0 && sweep.rips > 0, "nothing was walked through: {sweep:?}");
        judge(outcome, sweep)
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

/// The same, and no ring waits for a drain.
fn direct(_: &Outcome, sweep: &Sweep) -> Verdict {
    check!(sweep.banked == 0, "not posted at once: {sweep:?}");
    exact(sweep)
}

/// The same, and each ring waits in a bank.
fn banked(_: &Outcome, sweep: &Sweep) -> Verdict {
    check!(sweep.banked == sweep.rings, "posted at once: {sweep:?}");
    exact(sweep)
}

/// Each ring is taken by one CPU for the other, and so is what makes L2 exit, if it does not by itself.
fn passed_on(outcome: &Outcome, sweep: &Sweep) -> Verdict {
    let rows = outcome.report.rows.iter().filter(|row| row.mode == "remote");
    let remote: u64 = rows.map(|row| row.relayed).sum();
    check!(remote == sweep.rings + sweep.starts, "{remote} passed on: {sweep:?}");
    Ok(())
}

/// Each ring makes L2 send an interrupt.
fn echoed(outcome: &Outcome, sweep: &Sweep) -> Verdict {
    let echoes = figures::all(&outcome.report, "echoes");
    check!(echoes == [sweep.rings], "{echoes:?} were sent: {sweep:?}");
    Ok(())
}

/// The way depends on what another CPU does meanwhile, or on what was rung before.
fn any(_: &Outcome, _: &Sweep) -> Verdict {
    Ok(())
}
