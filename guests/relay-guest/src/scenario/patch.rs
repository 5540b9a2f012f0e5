// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU patches code that another one runs, as kernels do: a breakpoint over the instruction, later
//! the new instruction over the breakpoint. Once the other CPU was told, it must not meet the breakpoint
//! any more.
#![expect(unsafe_code, reason = "code that is written while it runs")]

use core::arch::x86_64::__cpuid;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::SeqCst};

use super::edu;
use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;
use crate::{cpus, handled, interrupts, vectors};

const WORKER: u8 = 1;

const ROUNDS: u32 = 2000;

/// The longest that a breakpoint stays, in turns of a loop: enough for the other CPU to meet it.
const LONGEST: u32 = 4000;

const INT3: u8 = 0xcc;
const NOP: u8 = 0x90;
const RET: u8 = 0xc3;

/// A function of one instruction and a return, in a page of its own: memory of this guest is mapped for
/// everything, code included.
#[repr(C, align(4096))]
struct Code([AtomicU8; 4096]);

static CODE: Code = {
    let mut code = [const { AtomicU8::new(RET) }; 4096];
    code[0] = AtomicU8::new(NOP);
    Code(code)
};

/// Rounds whose breakpoint is gone, and those that the runner knows of.
static PATCHED: AtomicU32 = AtomicU32::new(0);
static SEEN: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

/// Runs the code while the worker patches it, then takes a few interrupts to show that the machine
/// still works.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    interrupts::BREAKPOINTS.store(true, SeqCst);
    // SAFETY: The page holds a function without arguments that changes nothing: a NOP or a breakpoint,
    // whose handler returns behind it, and a return.
    let code: extern "sysv64" fn() = unsafe { core::mem::transmute(&raw const CODE) };
    cpus::put_to_work(WORKER, patch);
    let (mut met, mut stale) = (0, 0);
    while PATCHED.load(SeqCst) < ROUNDS {
        let patched = PATCHED.load(SeqCst);
        let told = patched > SEEN.load(SeqCst);
        if told {
            // A processor may have fetched the breakpoint before it was gone; this makes it forget.
            __cpuid(0);
        }
        let before = handled::on(vectors::BREAKPOINT, 0);
        code();
        let breakpoints = handled::on(vectors::BREAKPOINT, 0) - before;
        // The worker writes nothing until this round was seen.
        if told {
            stale += breakpoints;
            SEEN.store(patched, SeqCst);
        }
        met += breakpoints;
    }
    STOP.store(true, SeqCst);
    line!("result patch rounds={ROUNDS} met={met} stale={stale}");
    if stale > 0 {
        return Err(Failure::Instruction("INT3"));
    }
    edu::raise(machine, 10)
}

/// The worker.
fn patch() {
    let [instruction, ..] = &CODE.0;
    for round in 1.. {
        instruction.store(INT3, SeqCst);
        // Another pause each time, so that in the end each moment of the other CPU is met.
        (0..round * 7 % LONGEST).for_each(|_| spin_loop());
        instruction.store(NOP, SeqCst);
        PATCHED.store(round, SeqCst);
        while SEEN.load(SeqCst) < round {
            if STOP.load(SeqCst) {
                return;
            }
            spin_loop();
        }
    }
}
