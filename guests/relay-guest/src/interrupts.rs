// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens on an interrupt or exception: count it, acknowledge its device, go on.
#![expect(unsafe_code, reason = "loading the interrupt table")]

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use cpu::interrupt::{Frame, Table};
use spin::Once;

use crate::console::line;
use crate::{apic, boot, cpus, devices, end, handled, ring, vectors};

cpu::interrupt_stubs!(stubs => interrupted);

/// The one table of all CPUs.
static TABLE: Once<Table> = Once::new();

/// How many NMIs of the boot CPU are still to be answered with another one to it, which has to wait.
pub(crate) static ECHOES: AtomicU32 = AtomicU32::new(0);

/// Whether breakpoints are counted, and not the end.
pub(crate) static BREAKPOINTS: AtomicBool = AtomicBool::new(false);

/// What every handler of a device does before it acknowledges, if a scenario wants it to.
pub(crate) static DELAY: Once<fn()> = Once::new();

/// What the handler of an NMI does.
const NMI_WORK: u32 = 20_000;

/// First vector that is not an exception.
const FIRST_INTERRUPT: u64 = 32;

/// Makes this CPU use the table.
pub(crate) fn load() {
    let table = TABLE.call_once(|| Table::new(stubs(), boot::CODE));
    // SAFETY: `boot::CODE` is the 64-bit code segment of the only descriptor table there is.
    unsafe { table.load() };
}

/// Called by every stub.
extern "C" fn interrupted(frame: &mut Frame) {
    if ring::ended(frame) {
        return;
    }
    let [vector, ..] = frame.vector.to_le_bytes();
    if vector == vectors::BREAKPOINT && BREAKPOINTS.load(Ordering::Relaxed) {
        handled::count(vector, cpus::current());
        return;
    }
    if frame.vector < FIRST_INTERRUPT && vector != vectors::NMI {
        exception(frame)
    }
    handled::count(vector, cpus::current());
    if vector == vectors::NMI {
        // Long enough for the next one to come meanwhile.
        (0..NMI_WORK).for_each(|_| core::hint::spin_loop());
        let left = ECHOES.load(Ordering::Relaxed);
        if left > 0 && cpus::current() == 0 {
            ECHOES.store(left - 1, Ordering::Relaxed);
            apic::non_maskable(0);
        }
    }
    if matches!(vector, vectors::SPURIOUS | vectors::NMI | vectors::SOFTWARE) {
        return;
    }
    if let Some(delay) = DELAY.get() {
        delay();
    }
    devices::acknowledge(vector);
    apic::end_of_interrupt();
}

/// Ends the run: no exception is expected but those that [`ring`] takes.
fn exception(frame: &Frame) -> ! {
    line!("error: exception vector={} cpu={}", frame.vector, cpus::current());
    line!("error: rip={:#x} code={:#x} rsp={:#x}", frame.rip, frame.error_code, frame.rsp);
    end::failure()
}
