// SPDX-License-Identifier: MIT OR Apache-2.0
//! Breakpoints that are no longer there.
//!
//! A CPU that stores to code makes QEMU drop its translation before the store is done. Another CPU
//! that runs the code meanwhile has it translated again, as it was, and that translation stays. Kernels
//! patch their code by way of INT3, so what may stay for good is a breakpoint: the kernel, which knows of
//! none any more, dies of it. QEMU's bug in all versions seen, 7.2 and 10.0, with two CPUs or more.
//!
//! So software interrupts of L2 exit, and L0 looks whether they are still in memory. One that is gets raised by
//! the processor, and until the next exit no other is looked at. That is soon enough: a breakpoint is harmless
//! until whoever took it away has had all CPUs synchronise, and the interrupt that asks for this is an exit.
//!
//! # Orderings
//! The figure is Relaxed. The byte is exchanged, not stored: another CPU may be patching it now.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

use super::{decode, guest_memory::GuestMemory, physical, vmcb::Vmcb};

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// What a guest that is about to raise a software interrupt has in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The instruction that raises it, and nothing is wrong.
    Current,
    /// Another one. QEMU has forgotten its translation, so that the guest can go on.
    Stale,
}

/// Compares the software interrupt at the guest's RIP with its memory.
pub(crate) fn check(vmcb: Vmcb) -> Code {
    if decode::instruction(vmcb).is_some_and(|found| decode::interrupts(&found)) {
        return Code::Current;
    }
    let memory = GuestMemory(vmcb);
    let place = memory.translate(memory.instruction_pointer());
    let Some(place) = place.and_then(|gpa| memory.physical(gpa)) else { return Code::Current };
    let byte = physical::byte(place);
    let value = byte.load(Relaxed);
    // Any store will do, and if the exchange fails then because there was one.
    let _ = byte.compare_exchange(value, value, SeqCst, Relaxed);
    DROPPED.fetch_add(1, Relaxed);
    Code::Stale
}

/// How often there was another instruction.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Relaxed)
}
