// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens on an interrupt or exception: count it, acknowledge its device, go on.
#![expect(unsafe_code, reason = "loading the interrupt table")]

use core::sync::atomic::{AtomicU64, Ordering};

use cpu::interrupt::{Frame, Table};
use spin::Once;

use crate::console::line;
use crate::{apic, boot, cpus, devices, end, handled, vectors};

cpu::interrupt_stubs!(stubs => interrupted);

/// The one table of all CPUs.
static TABLE: Once<Table> = Once::new();

/// Where to go on after the next exception; 0 if an exception is not expected.
static RECOVERY: AtomicU64 = AtomicU64::new(0);

/// The exception that was recovered from, plus one; 0 for none.
static RECOVERED: AtomicU64 = AtomicU64::new(0);

/// First vector that is not an exception.
const FIRST_INTERRUPT: u64 = 32;

/// Makes this CPU use the table.
pub(crate) fn load() {
    let table = TABLE.call_once(|| Table::new(stubs(), boot::CODE));
    // SAFETY: `boot::CODE` is the 64-bit code segment of the only descriptor table there is.
    unsafe { table.load() };
}

/// Where the code of an expected exception finds [`RECOVERY`].
pub(crate) fn recovery() -> *mut u64 {
    RECOVERED.store(0, Ordering::Relaxed);
    RECOVERY.as_ptr()
}

/// Returns the exception since [`recovery`] was called, and expects no more.
pub(crate) fn recovered() -> Option<u64> {
    RECOVERY.store(0, Ordering::Relaxed);
    RECOVERED.load(Ordering::Relaxed).checked_sub(1)
}

/// Called by every stub.
extern "C" fn interrupted(frame: &mut Frame) {
    if frame.vector < FIRST_INTERRUPT {
        exception(frame);
        return;
    }
    let [vector, ..] = frame.vector.to_le_bytes();
    handled::count(vector, cpus::current());
    if vector == vectors::SPURIOUS {
        return;
    }
    devices::acknowledge(vector);
    apic::end_of_interrupt();
}

/// Recovers from an exception that is expected, and ends the run on any other.
fn exception(frame: &mut Frame) {
    match RECOVERY.swap(0, Ordering::Relaxed) {
        0 => {
            line!("error: exception vector={} cpu={}", frame.vector, cpus::current());
            line!("error: rip={:#x} code={:#x} rsp={:#x}", frame.rip, frame.error_code, frame.rsp);
            end::failure()
        }
        rip => {
            RECOVERED.store(frame.vector + 1, Ordering::Relaxed);
            frame.rip = rip;
        }
    }
}
