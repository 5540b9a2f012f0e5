// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events of a run that counts instructions, as all gates read them.
//!
//! What L1 is charged with is counted here and nowhere else, so that it means the same for an interrupt that
//! is posted, one that is proxied and one that comes by a line.

use crate::report::TraceEvent;

/// Status of an exit from L2 because of an interrupt for L1, upper half.
pub(super) const PENDING_INTERRUPT: u64 = 0x1102;

/// `EXIT_REASON_EXTERNAL_INTERRUPT`.
const EXTERNAL_INTERRUPT: u64 = 1;

/// Leaves that read or write a field of the virtual CPU: `TDG.VP.RD`, `TDG.VP.WR`.
const FIELD_LEAVES: [u64; 2] = [9, 10];

/// What L1 did beside executing instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charges {
    /// Exits to the host, but for its own interrupts.
    pub(crate) host_exits: u64,
    /// Calls of the host.
    pub(crate) tdvmcalls: u64,
    /// Fields read or written.
    pub(crate) fields: u64,
    /// Entries of L2 that were refused.
    pub(crate) refused: u64,
}

/// Returns the events of one CPU, in the order of time.
pub(super) fn of_cpu(events: &[TraceEvent], cpu: u32) -> Vec<&TraceEvent> {
    let mut events: Vec<_> = events.iter().filter(|event| event.cpu == cpu).collect();
    events.sort_by_key(|event| event.ts);
    events
}

/// Whether L2 is entered.
pub(super) fn is_entry(event: &TraceEvent) -> bool {
    event.event == "vp_enter" && event.arg != 0
}

/// Whether the TD was left for an interrupt of the host.
pub(super) fn is_host_interrupt(event: &TraceEvent) -> bool {
    event.event == "td_exit" && event.arg & 0xffff == EXTERNAL_INTERRUPT
}

impl Charges {
    /// Adds what `event` is charged as.
    pub(super) fn add(&mut self, event: &TraceEvent) {
        match event.event.as_str() {
            "td_exit" if !is_host_interrupt(event) => self.host_exits += 1,
            "tdvmcall" => self.tdvmcalls += 1,
            "tdcall" if FIELD_LEAVES.contains(&event.arg) => self.fields += 1,
            "vp_enter" if !is_entry(event) => self.refused += 1,
            _ => {}
        }
    }

    /// Adds those of a part.
    pub(super) fn add_all(&mut self, part: Self) {
        self.host_exits += part.host_exits;
        self.tdvmcalls += part.tdvmcalls;
        self.fields += part.fields;
        self.refused += part.refused;
    }
}
