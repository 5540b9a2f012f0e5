// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's CPUs: who am I, and starting the others.
//!
//! A CPU's number is its x2APIC id. It stands at the bottom of the CPU's stack, which is aligned to
//! its size, so that a handler finds it without an MSR and hence without an exit.
#![expect(unsafe_code, reason = "the CPU number is found through the stack pointer")]

use core::arch::asm;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use spin::Once;

use crate::failure::Failure;
use crate::{apic, boot, interrupts, vectors, wait};

/// Most CPUs the guest can have.
pub(crate) const MAX_CPUS: u8 = 16;

/// Size and alignment of a CPU's stack.
pub(crate) const STACK_SIZE: usize = 0x4000;

/// CPUs that have come up.
static RUNNING: AtomicU8 = AtomicU8::new(0);

/// What a CPU does that is started from now on.
static TASK: Once<fn()> = Once::new();

/// One CPU's stack; the lowest word is the CPU's number.
#[repr(C, align(0x4000))]
#[derive(Debug)]
pub(crate) struct Stack {
    words: [AtomicU32; STACK_SIZE / 4],
}

impl Stack {
    /// A stack of CPU 0.
    pub(crate) const fn new() -> Self {
        Self { words: [const { AtomicU32::new(0) }; STACK_SIZE / 4] }
    }

    /// Makes it the stack of `cpu`.
    pub(crate) fn own(&self, cpu: u8) {
        self.words[0].store(cpu.into(), Ordering::Relaxed);
    }

    /// First address above it.
    pub(crate) fn top(&self) -> *mut u8 {
        (&raw const *self).cast::<u8>().wrapping_add(STACK_SIZE).cast_mut()
    }
}

/// Number of the CPU this runs on.
pub(crate) fn current() -> u8 {
    let bottom: *const u8;
    // SAFETY: Reads the stack pointer and rounds it down; nothing but flags changes.
    unsafe {
        asm!("mov {0}, rsp", "and {0}, {1}", out(reg) bottom,
            const -STACK_SIZE.cast_signed(), options(nomem, nostack));
    }
    // SAFETY: Every CPU runs on a `Stack` of its own from its first Rust instruction on, and the
    // lowest word of it is written before.
    unsafe { bottom.read() }
}

/// Makes the boot CPU ready, then starts CPUs 1 to `count` − 1, one after the other.
pub(crate) fn start(count: u8) -> Result<(), Failure> {
    make_ready();
    for cpu in 1..count {
        boot::prepare(cpu);
        apic::start(cpu, boot::TRAMPOLINE);
        wait::poll_until("start of a CPU", || RUNNING.load(Ordering::Acquire) > cpu)?;
    }
    Ok(())
}

/// Resets CPUs 1 to `count` − 1 and starts them again.
pub(crate) fn restart(count: u8) -> Result<(), Failure> {
    for cpu in 1..count {
        let before = RUNNING.load(Ordering::Acquire);
        boot::prepare(cpu);
        apic::start(cpu, boot::TRAMPOLINE);
        wait::poll_until("start of a CPU", || RUNNING.load(Ordering::Acquire) > before)?;
    }
    Ok(())
}

/// Starts CPU `cpu` once more, to do `task` first. There is one task in a run.
pub(crate) fn put_to_work(cpu: u8, task: fn()) {
    TASK.call_once(|| task);
    boot::prepare(cpu);
    apic::start(cpu, boot::TRAMPOLINE);
}

/// Life of every CPU but the first: its task, if there is one, and to take interrupts.
pub(crate) fn serve() -> ! {
    make_ready();
    if let Some(task) = TASK.get() {
        task();
    }
    loop {
        x86_64::instructions::interrupts::enable_and_hlt();
    }
}

/// Lets this CPU take interrupts as soon as its interrupt flag is set.
fn make_ready() {
    interrupts::load();
    apic::enable(vectors::SPURIOUS);
    RUNNING.fetch_add(1, Ordering::Release);
}
