// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one relay pass costs in exits to the host.
//!
//! A pass begins when L2 exits because an interrupt for L1 is pending, and ends when L2 is entered
//! again. Every path that L1 took an interrupt on in between is charged with the exits made. So are, by
//! a pass on the CPU that they end on, those that another CPU takes and passes on. The call that makes
//! the other CPU look, a kick, is counted as one and charged to nobody.
//!
//! An interrupt of the host's own, its timer's or one from another CPU of the host, makes the TD exit at
//! any time and whatever it does. That it comes during a pass is counted apart.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use super::{counter::Counter, rows::Row};

/// The running pass of one CPU.
#[derive(Debug)]
pub(crate) struct Pass {
    running: AtomicBool,
    /// Lanes that an interrupt was taken on, a bit each.
    took: AtomicU32,
    td_exits: Counter,
    tdvmcalls: Counter,
    interruptions: Counter,
    /// The exit to come is that of a kick.
    kicks: AtomicBool,
}

impl Pass {
    /// No pass.
    pub(crate) const fn new() -> Self {
        Self {
            running: AtomicBool::new(false),
            took: AtomicU32::new(0),
            td_exits: Counter::new(),
            tdvmcalls: Counter::new(),
            interruptions: Counter::new(),
            kicks: AtomicBool::new(false),
        }
    }

    /// L2 exited with an interrupt pending for L1.
    pub(crate) fn begin(&self) {
        self.running.store(true, Relaxed);
        self.td_exits.take();
        self.tdvmcalls.take();
        self.interruptions.take();
        self.took.store(0, Relaxed);
    }

    /// L1 took an interrupt on this lane.
    pub(crate) fn took(&self, lane: usize) {
        self.took.fetch_or(1 << (lane % 32), Relaxed);
    }

    /// The CPU is about to leave the TD for a kick.
    pub(crate) fn kick(&self) {
        self.kicks.store(true, Relaxed);
    }

    /// The CPU left the TD.
    pub(crate) fn td_exit(&self) {
        if !self.kicks.swap(false, Relaxed) {
            self.td_exits.bump();
        }
    }

    /// An interrupt of the host's own made the CPU leave the TD.
    pub(crate) fn interrupted(&self) {
        self.interruptions.bump();
    }

    /// The CPU left the TD to ask for something.
    pub(crate) fn tdvmcall(&self) {
        self.tdvmcalls.bump();
    }

    /// L2 was entered: charges what was counted to the paths that are concerned.
    pub(crate) fn end<'a, R: Iterator<Item = &'a Row>>(&self, concerned: impl FnOnce(u32) -> R) {
        if !self.running.swap(false, Relaxed) {
            return;
        }
        let (td_exits, tdvmcalls) = (self.td_exits.get(), self.tdvmcalls.get());
        let interruptions = self.interruptions.get();
        if td_exits + tdvmcalls + interruptions == 0 {
            return;
        }
        for row in concerned(self.took.load(Relaxed)) {
            row.host_exits.add(td_exits);
            row.tdvmcalls.add(tdvmcalls);
            row.interruptions.add(interruptions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pass;
    use crate::observe::rows::{Key, Rows};

    #[test]
    fn only_exits_inside_a_pass_are_charged() {
        let (rows, pass) = (Rows::new(), Pass::new());
        let key = Key { source: 1, taker: 0, reserved: 0x43, vector: 81 };
        let (_, row) = rows.open(key).unwrap();
        let of_lane_3 = |took: u32| {
            assert_eq!(took, 1 << 3);
            core::iter::once(row)
        };
        pass.td_exit();
        pass.begin();
        pass.took(3);
        pass.td_exit();
        pass.tdvmcall();
        pass.interrupted();
        pass.kick();
        pass.td_exit();
        pass.end(of_lane_3);
        pass.td_exit();
        pass.interrupted();
        pass.end(of_lane_3);
        assert_eq!((row.host_exits.get(), row.tdvmcalls.get()), (1, 1));
        assert_eq!(row.interruptions.get(), 1);
    }
}
