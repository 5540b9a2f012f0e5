// SPDX-License-Identifier: MIT OR Apache-2.0
//! All figures of one CPU.

use super::{counter::Counter, lanes::Lanes, pass::Pass, rows::Rows, trace::Ring};

/// What one CPU counted.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Notifications of posted interrupts.
    pub(crate) notifications: Counter,
    /// Exits from an L2 to L1.
    pub(crate) l2_exits: Counter,
    /// Those of them made because an interrupt was pending for L1.
    pub(crate) l2_exits_pending_interrupt: Counter,
    /// Entries of an L2.
    pub(crate) vp_enter: Counter,
    /// Entries refused because an interrupt was pending for L1.
    pub(crate) vp_enter_refused: Counter,
    /// Exits from the TD to the host.
    pub(crate) td_exits: Counter,
    /// Those of them made by TDVMCALL.
    pub(crate) tdvmcalls: Counter,
    /// Those of them by which L1 interrupts a CPU.
    pub(crate) kicks: Counter,
    /// Instructions that L1 executed, if instructions are what drives the clocks.
    pub(crate) l1_instructions: Counter,
    /// Messages between device and L1.
    pub(crate) lanes: Lanes,
    /// The relay paths.
    pub(crate) rows: Rows,
    /// The running relay pass.
    pub(crate) pass: Pass,
    /// The last events.
    pub(crate) trace: Ring,
}

impl Figures {
    /// Nothing counted.
    pub(crate) const fn new() -> Self {
        Self {
            notifications: Counter::new(),
            l2_exits: Counter::new(),
            l2_exits_pending_interrupt: Counter::new(),
            vp_enter: Counter::new(),
            vp_enter_refused: Counter::new(),
            td_exits: Counter::new(),
            tdvmcalls: Counter::new(),
            kicks: Counter::new(),
            l1_instructions: Counter::new(),
            lanes: Lanes::new(),
            rows: Rows::new(),
            pass: Pass::new(),
            trace: Ring::new(),
        }
    }
}
