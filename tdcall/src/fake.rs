// SPDX-License-Identifier: MIT OR Apache-2.0
//! Modules that are not there, for tests: one that follows a script, and one that is a function.
//!
//! Each step of a script says which registers the caller must come with (those it does not use are zero) and
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

/// A module that a function plays: it sees the registers of each call and changes them. `TDG.VP.ENTER` is
/// seen as a call like the others, with its operands in RCX and RDX.
#[derive(Debug)]
pub struct Played<F>(RefCell<F>);

impl<F: FnMut(&mut Registers)> Played<F> {
    /// Has `answer` answer the calls. It makes none itself.
    #[must_use]
    pub const fn new(answer: F) -> Self {
        Self(RefCell::new(answer))
    }

    fn call(&self, r: &mut Registers) {
        (self.0.borrow_mut())(r);
    }
}

impl<F: FnMut(&mut Registers)> Tdcall for Played<F> {
    unsafe fn tdcall(&self, r: &mut Registers) {
        self.call(r);
    }

    unsafe fn tdcall_with_interrupts(&self, r: &mut Registers) {
        self.call(r);
    }

    unsafe fn enter(&self, flags: u64, state: u64) -> Registers {
        let rax = crate::Leaf::VP_ENTER.rax();
        let mut r = Registers { rax, rcx: flags, rdx: state, ..Registers::ZERO };
        self.call(&mut r);
        r
    }
}

#[cfg(test)]
mod tests {
    use super::Played;
    use crate::{Registers, Tdcall};

    #[test]
    fn a_played_module_answers_through_every_door() {
        let module = Played::new(|r| r.r11 = r.rax + r.rcx + r.rdx);
        let mut r = Registers { rax: 1, ..Registers::ZERO };
        // SAFETY: The function touches no memory.
        unsafe { module.tdcall(&mut r) };
        assert_eq!(r.r11, 1);
        // SAFETY: As above.
        unsafe { module.tdcall_with_interrupts(&mut r) };
        assert_eq!(r.r11, 1);
        // SAFETY: As above.
        let r = unsafe { module.enter(2, 3) };
        assert_eq!(r.r11, crate::Leaf::VP_ENTER.rax() + 5);
    }
}
