// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trying again while somebody else holds a lock of the module.
//!
//! The module never waits: it answers `OPERAND_BUSY` when another virtual CPU or the host works on
//! the same thing. A host that never lets go is stopped by the module (the host-priority timeout),
//! so the bound here only has to be larger than honest work takes.
//!
//! Spec: TDX-BASE, "Concurrency Restrictions and Enforcement".

#![expect(unsafe_code, reason = "it calls whatever leaf its caller chose")]

use crate::{Registers, Status, Tdcall};

/// How often a call is made at most.
pub(super) const MAX_CALLS: u32 = 10_000;

/// Calls the leaf in `input` until it is not busy, and returns its status and the registers.
///
/// # Safety
///
/// As for [`Tdcall::tdcall`].
pub(super) unsafe fn tdcall(call: &impl Tdcall, input: Registers) -> (Status, Registers) {
    let mut calls = 0;
    loop {
        let mut r = input;
        // SAFETY: The caller upholds what the leaf asks for.
        unsafe { call.tdcall(&mut r) };
        let status = Status(r.rax);
        calls += 1;
        if calls == MAX_CALLS || !status.is(Status::OPERAND_BUSY) {
            return (status, r);
        }
        core::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_CALLS, tdcall};
    use crate::{Leaf, OperandId, Registers, Status, fake::Fake};

    #[test]
    fn a_busy_call_is_repeated_with_the_same_registers() {
        let input = Registers { rax: Leaf::VM_RD.rax(), rdx: 7, ..Registers::default() };
        let busy =
            Status::OPERAND_BUSY.with_operand(OperandId::TDCS).with_host_recoverability_hint();
        let busy = Registers { rax: busy.0, rdx: 99, ..Registers::default() };
        let answer = Registers { r8: 5, ..Registers::default() };
        let fake = Fake::new().tdcall(input, busy).tdcall(input, busy).tdcall(input, answer);
        // SAFETY: The fake touches no memory.
        let (status, r) = unsafe { tdcall(&fake, input) };
        assert_eq!((status, r.r8), (Status::SUCCESS, 5));
    }

    #[test]
    fn there_is_a_last_try() {
        let busy = Registers { rax: Status::OPERAND_BUSY.0, ..Registers::default() };
        let mut fake = Fake::new();
        for _ in 0..MAX_CALLS {
            fake = fake.tdcall(Registers::default(), busy);
        }
        // SAFETY: The fake touches no memory.
        let (status, _) = unsafe { tdcall(&fake, Registers::default()) };
        assert!(status.is(Status::OPERAND_BUSY));
    }
}
