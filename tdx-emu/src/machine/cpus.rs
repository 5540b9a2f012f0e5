// SPDX-License-Identifier: MIT OR Apache-2.0
//! The CPUs: who they are, and what each has for itself.
//!
//! The CPU that boots the machine prepares everything and then halts for good; the others, from
//! number 0 on, do the work. That costs nothing and is necessary: whoever loads FPU state on any CPU
//! makes QEMU rewrite a word of its first CPU that also says whether that CPU is in nested paging. Every
//! now and then a transition of the first CPU is undone so, which is fatal.
//!
//! CPU numbers are ranks of APIC IDs, so they do not depend on who came up first.
//!
//! A CPU finds its number in its stack pointer: the stacks lie side by side, each aligned to its
//! size. Segment registers cannot serve, they hold guest values.
//!
//! # Orderings
//!
//! `READY` is counted up with `Release` by each CPU when it is ready, and read with `Acquire`.
//! `APIC_IDS` is written before the CPU in question gets its number; `Relaxed` is enough.
#![expect(unsafe_code, reason = "stacks are memory that only assembly uses")]

use core::{
    arch::asm,
    cell::UnsafeCell,
    ops::Range,
    sync::atomic::{
        AtomicU8, AtomicUsize,
        Ordering::{Acquire, Relaxed},
    },
};

use crossbeam_utils::CachePadded;

pub(super) mod start;

pub(crate) use start::start_others;

/// The number of the CPU that boots.
pub(crate) const BOOT: usize = 16;

/// How many CPUs L0 can use, the one that boots included.
pub(crate) const MAX_CPUS: usize = BOOT + 1;

/// The size and the alignment of a CPU's stack.
pub(super) const STACK_SIZE: usize = 64 << 10;

/// The stacks, by CPU number.
pub(super) static STACKS: Stacks = Stacks(UnsafeCell::new([[0; STACK_SIZE]; MAX_CPUS]));

/// The APIC IDs, by CPU number.
static APIC_IDS: [AtomicU8; MAX_CPUS] = [const { AtomicU8::new(0) }; MAX_CPUS];

/// How many of the other CPUs take interrupts.
static READY: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of CPUs that do the work.
pub(crate) fn count() -> usize {
    READY.load(Acquire)
}

/// Returns the numbers of all CPUs, the one that boots included.
pub(crate) fn all() -> impl Iterator<Item = usize> {
    (0..count()).chain([BOOT])
}

/// Halts this CPU for good.
pub(crate) fn park() -> ! {
    loop {
        // SAFETY: waits for an interrupt that GIF = 0 and IF = 0 keep away.
        unsafe { asm!("hlt", options(nomem, nostack, preserves_flags)) };
    }
}

/// Returns the number of the CPU that asks.
pub(crate) fn current() -> usize {
    let rsp: usize;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, rsp", out(reg) rsp, options(nomem, nostack, preserves_flags)) };
    (rsp - STACKS.0.get().addr()) / STACK_SIZE
}

/// Returns where the stacks lie.
pub(super) fn stacks() -> Range<u64> {
    let start = STACKS.0.get().addr() as u64;
    start..start + size_of::<Stacks>() as u64
}

/// Returns the APIC ID of CPU `cpu`.
pub(crate) fn apic_id(cpu: usize) -> u8 {
    APIC_IDS[cpu].load(Relaxed)
}

/// One `T` for each CPU, no two on one cache line.
#[derive(Debug)]
pub(crate) struct PerCpu<T>([CachePadded<T>; MAX_CPUS]);

impl<T> PerCpu<T> {
    /// Makes one of the values by CPU number.
    pub(crate) const fn new(values: [CachePadded<T>; MAX_CPUS]) -> Self {
        Self(values)
    }

    /// Returns the value of the CPU that asks.
    pub(crate) fn mine(&self) -> &T {
        self.of(current())
    }

    /// Returns the value of CPU `cpu`.
    pub(crate) fn of(&self, cpu: usize) -> &T {
        &self.0[cpu]
    }
}

/// Memory for all stacks. RSP of CPU n is above stack n's first byte and at most at its end.
#[repr(C, align(65536))]
pub(super) struct Stacks(UnsafeCell<[[u8; STACK_SIZE]; MAX_CPUS]>);

const _: () = assert!(align_of::<Stacks>() == STACK_SIZE);

// SAFETY: Rust only takes the address; each stack is used by the one CPU that runs on it.
unsafe impl Sync for Stacks {}
