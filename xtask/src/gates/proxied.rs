// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an interrupt costs that the host takes and asks L1 by a message to pass on.
//!
//! A pass begins with the device's message, for which the host may have to stop the virtual CPU, and ends when
//! L2 is entered. Every exit in between is charged to it: that the host's own timer made one cannot be told
//! from a call of the host for the message.

use super::{
    events::is_host_interrupt,
    passes::{Pass, State, collect},
};
use crate::report::TraceEvent;

/// The vector of L1's synthetic interrupt controller.
const SYNIC: u32 = 0xe3;

/// Returns the passes of one CPU, in the order of time.
pub(crate) fn passes(events: &[TraceEvent], cpu: u32) -> Vec<Pass> {
    collect(events, cpu, |state, event| match event.event.as_str() {
        "device" => {
            if state.pass.interrupts == 0 {
                *state = State::default();
            }
            state.pass.interrupts += 1;
        }
        "l2_exit" => state.stopped_at = Some(event.l1),
        "l1_vector" if event.vector == SYNIC => _ = state.first_at.get_or_insert(event.l1),
        _ if is_host_interrupt(event) => state.pass.charges.host_exits += 1,
        _ => {}
    })
}

#[cfg(test)]
mod tests {
    use super::{Pass, passes};
    use crate::{gates::events::Charges, report::TraceEvent};

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
            charges: Charges { host_exits: 1, ..Charges::default() },
        };
        let halted = Pass {
            interrupts: 1,
            instructions: 40,
            whole: 40,
            charges: Charges { host_exits: 1, tdvmcalls: 1, ..Charges::default() },
            ..Pass::default()
        };
        assert_eq!(passes(&events, 0), [running, halted]);
    }
}
