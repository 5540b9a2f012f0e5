// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who looks when a notification comes.
//!
//! A callback is a word of its owner's choice, the address of a function for instance; what it means to
//! call it is the interrupt handler's to know. A slot holds one such word. The handler counts a pass in
//! when it begins and out when it ends; `unregister` empties the slot and then waits for the passes that
//! were under way: one that began later finds the slot empty. The handler never waits.
//!
//! The wait ends as soon as the handlers do, which only a host could delay that does not let a virtual
//! CPU run. That is the host's to do anyway; a timeout would not make the callback's data free to use.
//!
//! # Orderings
//! Two flags that each side sets before it reads the other's: the handler its pass, `unregister` the
//! empty slot. A SeqCst fence stands between write and read on both sides, so at least one of them sees
//! the other. A slot is stored with Release and loaded with Acquire, for what the callback uses. The end
//! of a pass is stored with Release and loaded with Acquire: what the callback did is over for whoever
//! comes back from `unregister`.

use core::num::NonZeroUsize;

use crossbeam_utils::CachePadded;

#[cfg(not(loom))]
use crate::sync::const_unless_loom;
use crate::sync::{AtomicU32, AtomicUsize, Ordering, fence};

/// Callbacks of one interrupt, which each of `CPUS` CPUs may take at any time, and of which there are at
/// most `SLOTS`.
#[derive(Debug)]
pub struct Callbacks<const CPUS: usize, const SLOTS: usize> {
    slots: [AtomicUsize; SLOTS],
    /// Odd while the CPU's handler is at work.
    passes: [CachePadded<AtomicU32>; CPUS],
}

/// A callback that is registered, and the right to unregister it.
#[derive(Debug)]
#[must_use = "without it the callback stays for ever"]
pub struct Registration {
    slot: usize,
}

/// There is no slot left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A callback wanted to unregister: it would wait for its own end. The registration is given back.
#[derive(Debug)]
pub struct InCallback(pub Registration);

impl<const CPUS: usize, const SLOTS: usize> Callbacks<CPUS, SLOTS> {
    #[cfg(not(loom))]
    const_unless_loom! {
        /// None registered.
        pub fn new() -> Self {
            Self {
                slots: [const { AtomicUsize::new(0) }; SLOTS],
                passes: [const { CachePadded::new(AtomicU32::new(0)) }; CPUS],
            }
        }
    }

    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: core::array::from_fn(|_| AtomicUsize::new(0)),
            passes: core::array::from_fn(|_| CachePadded::new(AtomicU32::new(0))),
        }
    }

    /// Has `callback` called from now on.
    ///
    /// # Errors
    /// All slots are taken.
    pub fn register(&self, callback: NonZeroUsize) -> Result<Registration, Full> {
        let is_taken = |slot: &AtomicUsize| {
            let word = callback.get();
            slot.compare_exchange(0, word, Ordering::Release, Ordering::Relaxed).is_ok()
        };
        let slot = self.slots.iter().position(is_taken).ok_or(Full)?;
        Ok(Registration { slot })
    }

    /// Has the callback never called again: none runs after this has returned. `pause` is what to do while
    /// one runs on another CPU. Context: main context of `cpu`, or anywhere else that is no callback.
    ///
    /// # Errors
    /// It is called by a callback on `cpu`. Nothing has changed then.
    pub fn unregister(
        &self,
        registration: Registration,
        cpu: usize,
        pause: impl FnMut(),
    ) -> Result<(), InCallback> {
        self.unregister_with(registration, cpu, pause, || fence(Ordering::SeqCst))
    }

    /// As [`Self::unregister`], with what stands between the empty slot and the look at the passes.
    pub(crate) fn unregister_with(
        &self,
        registration: Registration,
        cpu: usize,
        mut pause: impl FnMut(),
        between: impl FnOnce(),
    ) -> Result<(), InCallback> {
        let is_inside = |pass: &AtomicU32| pass.load(Ordering::Relaxed) & 1 == 1;
        if self.passes.get(cpu).is_some_and(|pass| is_inside(pass)) {
            return Err(InCallback(registration));
        }
        if let Some(slot) = self.slots.get(registration.slot) {
            slot.store(0, Ordering::Release);
        }
        between();
        for pass in &self.passes {
            let begun = pass.load(Ordering::Acquire);
            while begun & 1 == 1 && pass.load(Ordering::Acquire) == begun {
                pause();
            }
        }
        Ok(())
    }

    /// Lets `call` call each callback, once. Context: interrupt handler of `cpu`, which does not nest.
    pub fn notify(&self, cpu: usize, call: impl FnMut(NonZeroUsize)) {
        self.notify_with(cpu, call, || fence(Ordering::SeqCst));
    }

    /// As [`Self::notify`], with what stands between the begin of the pass and the look at the slots.
    pub(crate) fn notify_with(
        &self,
        cpu: usize,
        call: impl FnMut(NonZeroUsize),
        between: impl FnOnce(),
    ) {
        let Some(pass) = self.passes.get(cpu) else { return };
        let begun = pass.load(Ordering::Relaxed).wrapping_add(1);
        pass.store(begun, Ordering::Relaxed);
        between();
        let words = self.slots.iter().map(|slot| slot.load(Ordering::Acquire));
        words.filter_map(NonZeroUsize::new).for_each(call);
        pass.store(begun.wrapping_add(1), Ordering::Release);
    }
}

#[cfg(not(loom))]
impl<const CPUS: usize, const SLOTS: usize> Default for Callbacks<CPUS, SLOTS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod models;
