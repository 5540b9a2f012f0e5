// SPDX-License-Identifier: MIT OR Apache-2.0
//! A module that follows a script, for tests.
//!
//! Each step says which registers the caller must come with (those it does not use are zero) and
//! which it gets back. There is no global state, so tests may run in parallel.

#![expect(unsafe_code, reason = "it implements the raw door")]

extern crate std;

use core::cell::RefCell;
use std::collections::VecDeque;

use crate::{Registers, Tdcall};

/// Which method of [`Tdcall`] a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Tdcall,
    TdcallWithInterrupts,
    Enter,
}

/// The scripted module. It complains when it is dropped before the script ended.
#[derive(Debug, Default)]
pub struct Fake {
    script: RefCell<VecDeque<(Door, Registers, Registers)>>,
}

impl Fake {
    /// Returns a module that expects no call at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a call by [`Tdcall::tdcall`].
    #[must_use]
    pub fn tdcall(self, expected: Registers, answer: Registers) -> Self {
        self.step(Door::Tdcall, expected, answer)
    }

    /// Adds a call by [`Tdcall::tdcall_with_interrupts`].
    #[must_use]
    pub fn tdcall_with_interrupts(self, expected: Registers, answer: Registers) -> Self {
        self.step(Door::TdcallWithInterrupts, expected, answer)
    }

    /// Adds a call by [`Tdcall::enter`].
    #[must_use]
    pub fn enter(self, expected: Registers, answer: Registers) -> Self {
        self.step(Door::Enter, expected, answer)
    }

    /// Returns how many steps are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.script.borrow().len()
    }

    fn step(self, door: Door, expected: Registers, answer: Registers) -> Self {
        self.script.borrow_mut().push_back((door, expected, answer));
        self
    }

    fn call(&self, door: Door, r: &mut Registers) {
        let next = self.script.borrow_mut().pop_front();
        assert!(next.is_some(), "a call that the script does not have: {door:?} {r:#x?}");
        if let Some((expected_door, expected, answer)) = next {
            assert_eq!((door, *r), (expected_door, expected), "another call than the script has");
            *r = answer;
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.remaining(), 0, "calls that the script has were not made");
        }
    }
}

impl Tdcall for Fake {
    unsafe fn tdcall(&self, r: &mut Registers) {
        self.call(Door::Tdcall, r);
    }

    unsafe fn tdcall_with_interrupts(&self, r: &mut Registers) {
        self.call(Door::TdcallWithInterrupts, r);
    }

    unsafe fn enter(&self, flags: u64, state: u64) -> Registers {
        let rax = crate::Leaf::VP_ENTER.rax();
        let mut r = Registers { rax, rcx: flags, rdx: state, ..Registers::ZERO };
        self.call(Door::Enter, &mut r);
        r
    }
}
