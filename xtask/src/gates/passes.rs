// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an interrupt costs L1, out of the events of a run that counts instructions.
//!
//! A *pass* begins with the first reserved vector that L1 takes and ends when L2 is entered. If L2 ran,
//! its exit comes before. What happens in between is charged to the pass.

use super::events::{Charges, PENDING_INTERRUPT, is_entry, of_cpu};
use crate::report::TraceEvent;

/// The vectors that L1 sets aside for the relay.
const RESERVED: core::ops::Range<u32> = 0x40..0x60;

/// One pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Interrupts taken.
    pub(crate) interrupts: u64,
    /// Whether L2 was stopped for them.
    pub(crate) stopped_l2: bool,
    /// Instructions of L1 from the first vector to the entry of L2.
    pub(crate) instructions: u64,
    /// The same from the exit of L2, if that was stopped.
    pub(crate) whole: u64,
    /// What else was done in between.
    pub(crate) charges: Charges,
}

/// Returns the passes of one CPU, in the order of time.
pub(crate) fn passes(events: &[TraceEvent], cpu: u32) -> Vec<Pass> {
    collect(events, cpu, |state, event| match event.event.as_str() {
        "l2_exit" => {
            *state = State::default();
            state.stopped_at = (event.arg >> 32 == PENDING_INTERRUPT).then_some(event.l1);
        }
        "l1_vector" if RESERVED.contains(&event.vector) => {
            if state.first_at.is_none() {
                state.first_at = Some(event.l1);
                let refused = state.pass.charges.refused;
                state.pass =
                    Pass { charges: Charges { refused, ..Charges::default() }, ..Pass::default() };
            }
            state.pass.interrupts += 1;
        }
        _ => {}
    })
}

/// Returns the passes of one CPU, whose beginnings `begin` finds; each ends when L2 is entered.
pub(super) fn collect(
    events: &[TraceEvent],
    cpu: u32,
    begin: fn(&mut State, &TraceEvent),
) -> Vec<Pass> {
    let mut state = State::default();
    let follow = |event: &TraceEvent| {
        begin(&mut state, event);
        state.pass.charges.add(event);
        if is_entry(event) { core::mem::take(&mut state).end(event.l1) } else { None }
    };
    of_cpu(events, cpu).into_iter().filter_map(follow).collect()
}

/// What is known between two entries of L2.
#[derive(Debug, Default)]
pub(super) struct State {
    /// When L2 was stopped.
    pub(super) stopped_at: Option<u64>,
    /// When the first vector was taken.
    pub(super) first_at: Option<u64>,
    pub(super) pass: Pass,
}

impl State {
    /// L2 is entered: the pass, if there was an interrupt.
    fn end(self, now: u64) -> Option<Pass> {
        let Self { stopped_at, first_at, pass } = self;
        let instructions = now.checked_sub(first_at.filter(|_| pass.interrupts != 0)?)?;
        let whole = stopped_at.map_or(instructions, |stopped| now.saturating_sub(stopped));
        Some(Pass { instructions, whole, stopped_l2: stopped_at.is_some(), ..pass })
    }
}

/// Sums over many passes, for a thousand interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PerThousand {
    pub(crate) passes: f64,
    pub(crate) stops_of_l2: f64,
    pub(crate) host_exits: f64,
    pub(crate) tdvmcalls: f64,
    pub(crate) fields: f64,
    pub(crate) refused: f64,
}

impl PerThousand {
    pub(crate) fn of(passes: &[Pass]) -> Self {
        let sum = |figure: fn(&Pass) -> u64| passes.iter().map(figure).sum::<u64>();
        let interrupts = sum(|pass| pass.interrupts).max(1);
        let rate = |figure: fn(&Pass) -> u64| rounded(sum(figure), interrupts);
        Self {
            passes: rate(|_| 1),
            stops_of_l2: rate(|pass| pass.stopped_l2.into()),
            host_exits: rate(|pass| pass.charges.host_exits),
            tdvmcalls: rate(|pass| pass.charges.tdvmcalls),
            fields: rate(|pass| pass.charges.fields),
            refused: rate(|pass| pass.charges.refused),
        }
    }
}

/// A thousand times `part` in `whole`, with one digit behind the point.
#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn rounded(part: u64, whole: u64) -> f64 {
    (part * 10_000 / whole) as f64 / 10.0
}

#[cfg(test)]
mod tests {
    use super::{Charges, Pass, PerThousand, passes};
    use crate::report::TraceEvent;

    fn event(ts: u64, l1: u64, event: &str, vector: u32, arg: u64) -> TraceEvent {
        TraceEvent { ts, l1, cpu: 0, event: event.to_owned(), vector, arg }
    }

    #[test]
    fn a_pass_goes_from_the_first_vector_to_the_entry() {
        let events = [
            event(1, 100, "l2_exit", 0, 0x1102 << 32),
            event(2, 130, "l1_vector", 0x41, 0x51),
            event(3, 147, "l1_vector", 0x40, 0x50),
            event(4, 170, "vp_enter", 0, 0),
            event(5, 200, "vp_enter", 0x51, 1),
            event(6, 200, "l2_exit", 0, 12),
            event(7, 250, "tdcall", 0, 10),
            event(8, 260, "tdvmcall", 0, 12),
            event(9, 260, "td_exit", 0, 77),
            event(10, 270, "l1_vector", 0x40, 0x50),
            event(11, 275, "tdcall", 0, 9),
            event(12, 290, "vp_enter", 0x50, 1),
            event(13, 300, "vp_enter", 0x50, 1),
        ];
        let running = Pass {
            interrupts: 2,
            stopped_l2: true,
            instructions: 70,
            whole: 100,
            charges: Charges { refused: 1, ..Charges::default() },
        };
        let charges = Charges { fields: 1, ..Charges::default() };
        let halted =
            Pass { interrupts: 1, instructions: 20, whole: 20, charges, ..Pass::default() };
        assert_eq!(passes(&events, 0), [running, halted]);
        assert_eq!(passes(&events, 1), []);
        let sums = PerThousand::of(&[running, halted]);
        assert_eq!((sums.passes, sums.stops_of_l2, sums.fields), (666.6, 333.3, 333.3));
        assert_eq!((sums.refused, sums.tdvmcalls, sums.host_exits), (333.3, 0.0, 0.0));
    }
}
