// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions that are expected, and interrupts.
//!
//! `attempt!` runs an instruction and tells which exception it raised: the handler notes it and
//! goes on behind the instruction. An exception anywhere else ends the run.
//!
//! # Orderings
//! Relaxed: one CPU, and handler and interrupted code see each other's stores in program order.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cpu::interrupt::{Frame, Table};
use spin::Once;
use x86_64::structures::gdt::SegmentSelector;

use crate::{boot, checks::non_maskable, console};

/// Address of the instruction that is being tried.
pub(crate) static START: AtomicU64 = AtomicU64::new(0);
/// Where to go on if it raises an exception; 0 if none is expected.
pub(crate) static RESUME: AtomicU64 = AtomicU64::new(0);

/// The exception: 1 above the vector, so that 0 is none.
static VECTOR: AtomicU64 = AtomicU64::new(0);
static ERROR: AtomicU64 = AtomicU64::new(0);
static RIP: AtomicU64 = AtomicU64::new(0);
static FLAGS: AtomicU64 = AtomicU64::new(0);

static INTERRUPTS: AtomicU64 = AtomicU64::new(0);
static INTERRUPT: AtomicU64 = AtomicU64::new(0);

static TABLE: Once<Table> = Once::new();

/// An exception that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trap {
    /// Vector.
    pub(crate) vector: u64,
    /// Error code.
    pub(crate) error: u64,
    /// How far behind the start of the instruction the saved RIP was.
    pub(crate) offset: u64,
    /// Whether the saved RFLAGS had RF set; only #VE is looked at.
    pub(crate) resume_flag: bool,
}

/// Interrupts that were taken so far, and the vector of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupts {
    /// How many.
    pub(crate) count: u64,
    /// Vector of the last.
    pub(crate) last: u64,
}

/// Runs an instruction; returns the [`Trap`] it raised, if any.
macro_rules! attempt {
    ($code:expr $(, $($operands:tt)*)?) => {{
        // SAFETY: The instruction changes no memory that Rust relies on; the operands say which
        // registers it changes.
        unsafe {
            core::arch::asm!(
                "lea {probe_t}, [rip + 2f]",
                "mov [rip + {probe_start}], {probe_t}",
                "lea {probe_t}, [rip + 3f]",
                "mov [rip + {probe_resume}], {probe_t}",
                "2:",
                $code,
                "3:",
                probe_t = out(reg) _,
                probe_start = sym $crate::trap::START,
                probe_resume = sym $crate::trap::RESUME,
                $($($operands)*)?
            );
        }
        $crate::trap::taken()
    }};
}
pub(crate) use attempt;

cpu::interrupt_stubs!(stubs => handle);

/// Loads the interrupt table.
#[expect(unsafe_code, reason = "loading a descriptor table changes where the CPU jumps")]
pub(crate) fn load() {
    let code = SegmentSelector(boot::CODE);
    let table = TABLE.call_once(|| Table::new(stubs(), code));
    // SAFETY: `code` is the 64-bit code segment of the table that `boot` loaded.
    unsafe { table.load() };
}

/// Returns the exception since the last call.
pub(crate) fn taken() -> Option<Trap> {
    RESUME.store(0, Relaxed);
    let vector = VECTOR.swap(0, Relaxed).checked_sub(1)?;
    Some(Trap {
        vector,
        error: ERROR.load(Relaxed),
        offset: RIP.load(Relaxed).wrapping_sub(START.load(Relaxed)),
        resume_flag: vector == 20 && FLAGS.load(Relaxed) & 1 << 16 != 0,
    })
}

/// Returns the interrupts so far.
pub(crate) fn interrupts() -> Interrupts {
    Interrupts { count: INTERRUPTS.load(Relaxed), last: INTERRUPT.load(Relaxed) }
}

/// NMIs that were taken, and how many the next handler is to send to its own CPU.
pub(crate) static NMIS: AtomicU64 = AtomicU64::new(0);
pub(crate) static BURST: AtomicU64 = AtomicU64::new(0);

extern "C" fn handle(frame: &mut Frame) {
    if frame.vector == 2 {
        NMIS.fetch_add(1, Relaxed);
        (0..BURST.swap(0, Relaxed)).for_each(|_| non_maskable::send_to_self());
        return;
    }
    if frame.vector >= 31 {
        INTERRUPTS.fetch_add(1, Relaxed);
        INTERRUPT.store(frame.vector, Relaxed);
        return;
    }
    let resume = RESUME.swap(0, Relaxed);
    if resume == 0 {
        console::give_up(format_args!("unexpected exception\n{frame}"));
    }
    VECTOR.store(frame.vector + 1, Relaxed);
    ERROR.store(frame.error_code, Relaxed);
    RIP.store(frame.rip, Relaxed);
    FLAGS.store(frame.rflags, Relaxed);
    frame.rip = resume;
}
