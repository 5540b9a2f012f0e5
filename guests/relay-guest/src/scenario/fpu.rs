// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU loads its FPU's state over and over, as the kernel of any guest does at each switch of tasks,
//! while the boot CPU leaves the guest and comes back. Neither must notice the other.
#![expect(unsafe_code, reason = "FPU state is loaded by instructions")]

use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use super::edu;
use super::machine::Machine;
use crate::console::line;
use crate::cpus;
use crate::failure::Failure;

const WORKER: u8 = 1;

/// How often the boot CPU leaves the guest.
const EXITS: u32 = 20_000;

/// What FNSTENV stores: 28 bytes.
static ENVIRONMENT: [AtomicU32; 7] = [const { AtomicU32::new(0) }; 7];
static LOADS: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

/// Leaves the guest often enough, then takes a few interrupts to show that the machine still works.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    cpus::put_to_work(WORKER, load);
    while LOADS.load(SeqCst) == 0 {
        core::hint::spin_loop();
    }
    for _ in 0..machine.count(EXITS) {
        black_box(__cpuid(0));
    }
    STOP.store(true, SeqCst);
    line!("result fpu exits={} loads={}", machine.count(EXITS), LOADS.load(SeqCst));
    edu::raise(machine, 10)
}

/// The worker.
fn load() {
    while !STOP.load(SeqCst) {
        // SAFETY: The environment is 28 bytes of memory that nothing else uses, and nothing else here
        // uses the FPU.
        unsafe {
            asm!("fnstenv [{at}]", "fldenv [{at}]", at = in(reg) &raw const ENVIRONMENT);
        }
        LOADS.fetch_add(1, SeqCst);
    }
}
