// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts the instructions that a piece of code executes, by the processor's single-step trap.
//!
//! Spec: SDM "Single-Step Exception Condition".
#![expect(
    unsafe_code,
    reason = "the trap flag and the signal that it raises have no safe interface"
)]

use core::{
    arch::asm,
    mem::zeroed,
    ptr::null_mut,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use std::sync::{Mutex, Once, PoisonError};

static STEPS: AtomicU64 = AtomicU64::new(0);

/// Returns how many instructions `code` executes, with a constant more for the call.
pub(crate) fn steps(code: impl FnOnce()) -> u64 {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    static HANDLER: Once = Once::new();
    HANDLER.call_once(count_traps);
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    STEPS.store(0, Relaxed);
    set_trap_flag();
    code();
    clear_trap_flag();
    STEPS.load(Relaxed)
}

/// Makes every trap add one to [`STEPS`].
fn count_traps() {
    extern "C" fn count(_: libc::c_int) {
        STEPS.fetch_add(1, Relaxed);
    }
    // SAFETY: `sigaction` is plain data for which zeros mean no flags and no mask.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler only adds to an atomic, which is safe in a signal handler.
    let status = unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, null_mut()) };
    assert_eq!(status, 0);
}

#[inline(never)]
fn set_trap_flag() {
    // SAFETY: each instruction after it raises SIGTRAP, whose handler returns; the stack is balanced.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
}

#[inline(never)]
fn clear_trap_flag() {
    // SAFETY: only undoes the above; the stack is balanced.
    unsafe { asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
}
