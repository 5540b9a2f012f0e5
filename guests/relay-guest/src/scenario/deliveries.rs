// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU takes events on stacks in large pages while the boot CPU shares parts of these pages with the
//! host. The host splits each page, and for a moment nobody may touch it: an event whose delivery meets
//! that moment is delivered afterwards, once.
#![expect(unsafe_code, reason = "stacks in memory that no Rust object owns")]

use core::arch::asm;
use core::hint::spin_loop;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use super::edu;
use super::machine::Machine;
use crate::console::line;
use crate::cpus::{self, STACK_SIZE};
use crate::failure::Failure;
use crate::hyperv::{PRIVATE, SELF, SHARED, control, visibility, vmcall, write_msr};
use crate::{handled, ring, vectors, wait};

const WORKER: u8 = 1;

/// Memory that nothing else uses: large pages that no image reaches and every machine has.
const FIRST: u64 = 0x280_0000;
const CALLS: u64 = FIRST - 4096;
const LARGE: u64 = 0x20_0000;
const COUNT: u64 = 16;

/// Which part of a large page is converted.
const CONVERTED: u64 = 0x10_0000;

/// How many events come before and between conversions.
const EVENTS: u64 = 100;

/// How long the worker rests between events.
const PAUSE: u32 = 300;

const GUEST_OS_ID: u32 = 0x4000_0000;
const HYPERCALL: u32 = 0x4000_0001;
const NAME: u64 = 0x8100_0000_0000_0001;

/// Where the worker's stack is to be; 0 for the end.
static STACK: AtomicU64 = AtomicU64::new(FIRST);
static ENDED: AtomicU32 = AtomicU32::new(0);

/// How many events the worker has raised.
static RAISED: AtomicU64 = AtomicU64::new(0);

/// Converts a part of each page, then takes a few interrupts to show that the machine still works.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    ring::prepare();
    if write_msr(GUEST_OS_ID, NAME) != Ok(0) || write_msr(HYPERCALL, CALLS + 1) != Ok(0) {
        return Err(Failure::Hypercall("a name and a page for calls"));
    }
    cpus::put_to_work(WORKER, raise_all);
    for number in 0..COUNT {
        let large = FIRST + number * LARGE;
        STACK.store(large, SeqCst);
        let page = [(large + CONVERTED) / 4096];
        for wanted in [SHARED, PRIVATE] {
            await_events()?;
            if vmcall(control(0, 1), visibility(SELF, wanted, &page)) != Ok(1 << 32) {
                return Err(Failure::Hypercall("a conversion"));
            }
        }
        await_events()?;
    }
    STACK.store(0, SeqCst);
    wait::poll_until("the worker", || ENDED.load(SeqCst) != 0)?;
    let (raised, taken) = (RAISED.load(SeqCst), handled::on(vectors::SOFTWARE, WORKER));
    line!("result deliveries raised={raised} taken={taken}");
    if raised != taken {
        return Err(Failure::Hypercall("each event once"));
    }
    edu::raise(machine, 10)
}

fn await_events() -> Result<(), Failure> {
    let before = RAISED.load(SeqCst);
    wait::poll_until("events", || RAISED.load(SeqCst) - before >= EVENTS)
}

/// The worker. Most of the time it is between events, so that the next access to the stack's page is a
/// delivery.
fn raise_all() {
    let mut bottom = 0;
    loop {
        let wanted = STACK.load(SeqCst);
        if wanted == 0 {
            ENDED.store(1, SeqCst);
            return;
        }
        if wanted != bottom {
            bottom = wanted;
            let own = ptr::with_exposed_provenance_mut::<u32>(usize::try_from(bottom).unwrap_or(0));
            // SAFETY: This is mapped memory that nothing else uses. A CPU's number is at the bottom of
            // its stack.
            unsafe { own.write_volatile(WORKER.into()) };
        }
        (0..PAUSE).for_each(|_| spin_loop());
        raise(bottom + STACK_SIZE as u64);
        RAISED.fetch_add(1, SeqCst);
    }
}

/// Raises an event with the stack below `top`.
fn raise(top: u64) {
    // SAFETY: The handler returns with everything as it was, and the stack is nobody else's.
    unsafe {
        asm!(
            "xchg rsp, {top}",
            "int {vector}",
            "mov rsp, {top}",
            top = inout(reg) top => _,
            vector = const vectors::SOFTWARE,
        );
    }
}
