// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one relay pass costs in exits to the host.
//!
//! A pass begins when L2 exits because an interrupt for L1 is pending, and ends when L2 is entered
//! again. Every path that L1 took an interrupt on in between is charged with the exits made.
//!
//! An interrupt of the host's own, its timer's or one from another CPU of the host, makes the TD exit at
//! any time and whatever it does. That it comes during a pass is counted apart.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::{
    counter::Counter,
    rows::{ROWS, Rows},
};

/// The running pass of one CPU.
#[derive(Debug)]
pub(crate) struct Pass {
    running: AtomicBool,
    /// Rows that an interrupt was taken for, a bit each.
    took: [AtomicU64; ROWS / 64],
    td_exits: Counter,
    tdvmcalls: Counter,
    interruptions: Counter,
}

impl Pass {
    /// No pass.
    pub(crate) const fn new() -> Self {
        Self {
            running: AtomicBool::new(false),
            took: [const { AtomicU64::new(0) }; ROWS / 64],
            td_exits: Counter::new(),
            tdvmcalls: Counter::new(),
            interruptions: Counter::new(),
        }
    }

    /// L2 exited with an interrupt pending for L1.
    pub(crate) fn begin(&self) {
        self.running.store(true, Relaxed);
        self.td_exits.take();
        self.tdvmcalls.take();
        self.interruptions.take();
        for word in &self.took {
            word.store(0, Relaxed);
        }
    }

    /// L1 took an interrupt for this row.
    pub(crate) fn took(&self, row: usize) {
        if let Some(word) = self.took.get(row / 64) {
            word.fetch_or(1 << (row % 64), Relaxed);
        }
    }

    /// The CPU left the TD.
    pub(crate) fn td_exit(&self) {
        self.td_exits.bump();
    }

    /// An interrupt of the host's own made the CPU leave the TD.
    pub(crate) fn interrupted(&self) {
        self.interruptions.bump();
    }

    /// The CPU left the TD to ask for something.
    pub(crate) fn tdvmcall(&self) {
        self.tdvmcalls.bump();
    }

    /// L2 was entered.
    pub(crate) fn end(&self, rows: &Rows) {
        if !self.running.swap(false, Relaxed) {
            return;
        }
        let (td_exits, tdvmcalls) = (self.td_exits.get(), self.tdvmcalls.get());
        let interruptions = self.interruptions.get();
        for (number, word) in self.took.iter().enumerate() {
            let mut took = word.load(Relaxed);
            while took != 0 {
                let row = rows.get(number * 64 + took.trailing_zeros() as usize);
                took &= took - 1;
                if let Some(row) = row {
                    row.host_exits.add(td_exits);
                    row.tdvmcalls.add(tdvmcalls);
                    row.interruptions.add(interruptions);
                }
            }
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
        let (index, row) = rows.open(Key { source: 1, reserved: 0x40, vector: 81 }).unwrap();
        pass.td_exit();
        pass.begin();
        pass.took(index);
        pass.td_exit();
        pass.tdvmcall();
        pass.interrupted();
        pass.end(&rows);
        pass.td_exit();
        pass.interrupted();
        pass.end(&rows);
        assert_eq!((row.host_exits.get(), row.tdvmcalls.get()), (1, 1));
        assert_eq!(row.interruptions.get(), 1);
    }
}
