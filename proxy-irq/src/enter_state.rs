// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a virtual CPU is, so that others know whether they must kick it.
//!
//! The owner announces that it will stop looking at its block (it enters L2, or halts), and only then
//! looks a last time. Whoever leaves work for it does so first and reads the announcement afterwards.
//! Each side writes its own word and then reads the other's, with a full fence between, so at least
//! one of the two sees the other: the owner stays, or the other side kicks (Dekker's argument).
//!
//! # Orderings
//! The announcement (`leave_for`), the flag (`post.rs`, `mailbox.rs`) and the two looks at the other
//! side's word are SeqCst: in the one order of all SeqCst accesses, whichever look is the later one
//! sees. The data behind the flag is published by it (see `post.rs`, `drain.rs`, `mailbox.rs`). On x86
//! the announcement is one exchange, the flag one locked OR, and the looks are plain loads; loom, which
//! takes SeqCst accesses for weaker ones, gets fences between each pair.

use bitflags::bitflags;

use crate::{
    block::RelayBlock,
    sync::{Ordering, fence_under_loom},
};

bitflags! {
    /// What the owner must still do before it may enter L2 or halt.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Work: u32 {
        /// Another context made a vector pending: [`RelayBlock::drain`].
        const REMOTE = 1 << 0;
        /// The control plane left a request: [`RelayBlock::service`].
        const MAILBOX = 1 << 1;
        /// A reserved vector was taken since the last drain: [`RelayBlock::drain`].
        const POSTED = 1 << 2;
        /// Somebody has set something up outside of the relay: whoever calls
        /// [`RelayBlock::call_attention`] says what.
        const ATTENTION = 1 << 3;
    }
}

/// Beside the bits of [`Work`]: a slot may post into a bank of vectors. A state, no work to be done.
pub(crate) const BANKED: u32 = 1 << 4;

/// What makes a drain look everywhere.
pub(crate) const LOOK_EVERYWHERE: u32 = Work::REMOTE.bits() | BANKED;

/// Where the owner of a block is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnterState {
    /// In L1, and will look at its block before it leaves.
    #[default]
    Running,
    /// In L2, or about to be.
    InL2,
    /// Halted in L1, or about to be.
    Halted,
}

/// Whether the CPU that the work was left for must be interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "without the kick a CPU in L2 or halted may not see its work for ever"]
pub enum Kick {
    /// The CPU is in L2 or halted: send it L1's kick vector.
    Needed,
    /// The CPU will see the work by itself.
    NotNeeded,
}

impl RelayBlock {
    /// Announces that the owner enters L2, unless others have left work.
    ///
    /// Context: owner, main context, IF=0 since the last [`drain`](Self::drain), so there can be nothing
    /// that was posted since. On `Ok` the next step is `TDG.VP.ENTER`, and [`resume`](Self::resume) the
    /// first one after it, whatever it returned. On `Err` the owner is still running and must do what the
    /// set names.
    #[inline]
    pub fn try_enter_l2(&self) -> Result<(), Work> {
        self.leave_for(EnterState::InL2)
    }

    /// Announces that the owner halts, unless there is work left.
    ///
    /// Context: as [`try_enter_l2`](Self::try_enter_l2). The halt must enable interrupts by the same
    /// step that halts, so that a kick sent in between ends it.
    pub fn try_halt(&self) -> Result<(), Work> {
        self.leave_for(EnterState::Halted)
    }

    /// Announces that the owner is back from L2, and counts what L2 has left pending.
    ///
    /// Context: owner, main context, IF=0 since before the entry. Needs no order: who still reads the
    /// old state sends a kick too many.
    #[inline]
    pub fn resume(&self) {
        self.set_running();
        self.settle_posted();
    }

    /// Announces that the owner's halt is over. Context: owner, main context.
    pub fn wake(&self) {
        self.set_running();
    }

    /// Returns where the owner is.
    #[must_use]
    #[inline]
    pub fn enter_state(&self) -> EnterState {
        EnterState::from_word(self.control.state.load(Ordering::Relaxed))
    }

    /// Returns what the owner has to do, as far as it can see now.
    #[must_use]
    #[inline]
    pub fn work(&self) -> Work {
        let remote = self.remote_pending().load(Ordering::SeqCst);
        let posted = u32::from(self.control.dirty.load(Ordering::Relaxed) != 0);
        Work::from_bits_truncate(remote | posted << 2)
    }

    /// Makes the owner stop before it next enters L2 or halts, to look at what the caller has set up
    /// before. It takes the call by [`take_attention`](Self::take_attention).
    ///
    /// Context: any CPU, the owner included.
    pub fn call_attention(&self) -> Kick {
        self.remote_pending().fetch_or(Work::ATTENTION.bits(), Ordering::SeqCst);
        self.must_kick()
    }

    /// Takes the calls for attention; returns whether there was one. What was set up before is seen.
    ///
    /// Context: owner, main context.
    pub fn take_attention(&self) -> bool {
        let called = Work::ATTENTION.bits();
        let pending = self.remote_pending();
        pending.load(Ordering::Relaxed) & called != 0
            && pending.fetch_and(!called, Ordering::SeqCst) & called != 0
    }

    /// The other side's half: to be called after the work was announced in `remote_pending`.
    #[inline]
    pub(crate) fn must_kick(&self) -> Kick {
        fence_under_loom();
        match EnterState::from_word(self.control.state.load(Ordering::SeqCst)) {
            EnterState::Running => Kick::NotNeeded,
            EnterState::InL2 | EnterState::Halted => Kick::Needed,
        }
    }

    #[inline]
    fn leave_for(&self, state: EnterState) -> Result<(), Work> {
        self.control.state.store(state as u32, Ordering::SeqCst);
        fence_under_loom();
        let work = Work::from_bits_truncate(self.remote_pending().load(Ordering::SeqCst));
        if work.is_empty() {
            return Ok(());
        }
        self.set_running();
        Err(work)
    }

    #[inline]
    fn set_running(&self) {
        self.control.state.store(EnterState::Running as u32, Ordering::Relaxed);
    }
}

impl EnterState {
    const fn from_word(word: u32) -> Self {
        match word {
            0 => Self::Running,
            1 => Self::InL2,
            _ => Self::Halted,
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::reserved_vector::{L2Vector, Slot};

    #[test]
    fn the_owner_leaves_only_when_nothing_is_left() {
        let block = RelayBlock::new();
        assert_eq!(block.try_enter_l2(), Ok(()));
        assert_eq!(block.enter_state(), EnterState::InL2);
        assert_eq!(block.post_remote(L2Vector::new(0x51).unwrap()), Kick::Needed);
        block.resume();
        assert_eq!(block.try_halt(), Err(Work::REMOTE));
        assert_eq!(block.enter_state(), EnterState::Running);
        assert_eq!(block.post_remote(L2Vector::new(0x52).unwrap()), Kick::NotNeeded);
        block.on_posted(Slot::new(3).unwrap());
        assert_eq!(block.work(), Work::REMOTE | Work::POSTED);
        assert_eq!(block.try_enter_l2(), Err(Work::REMOTE));
    }

    #[test]
    fn a_call_for_attention_keeps_the_owner_until_it_is_taken() {
        let block = RelayBlock::new();
        assert_eq!(block.call_attention(), Kick::NotNeeded);
        assert_eq!(block.try_enter_l2(), Err(Work::ATTENTION));
        assert_eq!(block.drain_if_left_alone(0x33), None);
        assert!(block.take_attention());
        assert!(!block.take_attention());
        assert_eq!(block.try_enter_l2(), Ok(()));
        assert_eq!(block.call_attention(), Kick::Needed);
    }

    #[test]
    fn a_halted_cpu_is_kicked() {
        let block = RelayBlock::new();
        assert_eq!(block.try_halt(), Ok(()));
        assert_eq!(block.enter_state(), EnterState::Halted);
        assert_eq!(block.post_trusted(L2Vector::new(0x51).unwrap()), Kick::Needed);
    }
}
