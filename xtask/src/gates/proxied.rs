// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an interrupt costs that the host takes and asks L1 by a message to pass on.
//!
//! A pass begins with the device's message, for which the host may have to stop the virtual CPU, and ends when
//! L2 is entered. Every exit in between is charged to it: that the host's own timer made one cannot be told
//! from a call of the host for the message.

use super::passes::Pass;
use crate::report::TraceEvent;

/// The vector of L1's synthetic interrupt controller.
const SYNIC: u32 = 0xe3;

/// Leaves that read or write a field of the virtual CPU: `TDG.VP.RD`, `TDG.VP.WR`.
const FIELD_LEAVES: [u64; 2] = [9, 10];

/// Returns the passes of one CPU, in the order of time.
pub(crate) fn passes(events: &[TraceEvent], cpu: u32) -> Vec<Pass> {
    let mut events: Vec<_> = events.iter().filter(|event| event.cpu == cpu).collect();
    events.sort_by_key(|event| event.ts);
    let mut state = State::default();
    events.into_iter().filter_map(|event| state.follow(event)).collect()
}

/// What is known since the device's message.
#[derive(Debug, Default)]
struct State {
    stopped_at: Option<u64>,
    first_at: Option<u64>,
    pass: Pass,
}

impl State {
    /// Takes in an event; returns the pass that it ends.
    fn follow(&mut self, event: &TraceEvent) -> Option<Pass> {
        match event.event.as_str() {
            "device" => {
                if self.pass.interrupts == 0 {
                    *self = Self::default();
                }
                self.pass.interrupts += 1;
            }
            "l2_exit" => self.stopped_at = Some(event.l1),
            "l1_vector" if event.vector == SYNIC => _ = self.first_at.get_or_insert(event.l1),
            "vp_enter" if event.arg == 0 => self.pass.refused += 1,
            "vp_enter" => return self.end(event.l1),
            "td_exit" => self.pass.host_exits += 1,
            "tdvmcall" => self.pass.tdvmcalls += 1,
            "tdcall" if FIELD_LEAVES.contains(&event.arg) => self.pass.fields += 1,
            _ => {}
        }
        None
    }

    fn end(&mut self, now: u64) -> Option<Pass> {
        let State { stopped_at, first_at, pass } = core::mem::take(self);
        let instructions = now.checked_sub(first_at.filter(|_| pass.interrupts != 0)?)?;
        let whole = stopped_at.map_or(instructions, |stopped| now.saturating_sub(stopped));
        Some(Pass { instructions, whole, stopped_l2: stopped_at.is_some(), ..pass })
    }
}

#[cfg(test)]
mod tests {
    use super::{Pass, passes};
    use crate::report::TraceEvent;

    fn event(ts: u64, l1: u64, event: &str, vector: u32, arg: u64) -> TraceEvent {
        TraceEvent { ts, l1, cpu: 0, event: event.to_owned(), vector, arg }
    }

    #[test]
    fn a_pass_goes_from_the_device_to_the_entry() {
        let events = [
            event(1, 50, "td_exit", 0, 77),
            event(2, 100, "device", 0x60, 0x30),
            event(3, 100, "td_exit", 0, 1),
            event(4, 100, "l2_exit", 0, 0x1102 << 32),
            event(5, 160, "l1_vector", 0xe3, 0),
            event(6, 900, "vp_enter", 0x60, 1),
            event(7, 900, "l2_exit", 0, 12),
            event(8, 950, "tdvmcall", 0, 12),
            event(9, 950, "td_exit", 0, 77),
            event(10, 950, "device", 0x60, 0x30),
            event(11, 950, "l1_vector", 0xe3, 0),
            event(12, 980, "tdvmcall", 0, 32),
            event(13, 980, "td_exit", 0, 77),
            event(14, 990, "vp_enter", 0x60, 1),
            event(15, 999, "l1_vector", 0xe3, 0),
            event(16, 999, "vp_enter", 0x60, 1),
        ];
        let running = Pass {
            interrupts: 1,
            stopped_l2: true,
            instructions: 740,
            whole: 800,
            host_exits: 1,
            ..Pass::default()
        };
        let halted = Pass {
            interrupts: 1,
            instructions: 40,
            whole: 40,
            host_exits: 1,
            tdvmcalls: 1,
            ..Pass::default()
        };
        assert_eq!(passes(&events, 0), [running, halted]);
    }
}
