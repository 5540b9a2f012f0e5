// SPDX-License-Identifier: MIT OR Apache-2.0
//! L0's interrupts: one table of handlers for all CPUs, taken in windows that L0 opens itself.
//!
//! While L0 handles an exit of a guest it is at GIF = 0 and IF = 0. Host interrupts wait until L0
//! says `window` or `wait`, or until the next VMRUN, from which they exit at once.
//!
//! | vector      | what happens                                                        |
//! |-------------|---------------------------------------------------------------------|
//! | 2           | counted                                                             |
//! | 0x00 – 0x1f | the handler, if there is one; else a register dump and the end      |
//! | 0x20 – 0xfe | the handler, if there is one; else counted; then EOI                |
//! | 0xff        | as before but without EOI: the APIC's spurious vector               |
//!
//! # Orderings
//!
//! A handler is one word, stored with `Release` by `set_handler` and loaded with `Acquire` by
//! `dispatch`, so that a handler sees what was written before it was set. Counters are `Relaxed`.
//!
//! Spec: APM "Global Interrupt Flag, STGI and CLGI Instructions".
#![expect(unsafe_code, reason = "interrupt entry")]

use core::{
    arch::asm,
    ptr,
    sync::atomic::{
        AtomicPtr, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use cpu::interrupt::{Frame, Table};
use crossbeam_utils::CachePadded;
use spin::Once;
use x86_64::{
    instructions::port::PortWriteOnly, registers::control::Cr2, structures::gdt::SegmentSelector,
};

use super::{
    console,
    cpus::{self, PerCpu},
    lapic,
};

const NMI: u8 = 2;
const FIRST_INTERRUPT: u8 = 0x20;

/// L0's 64-bit code segment in the table of [`super::long_mode`].
const CODE: SegmentSelector = SegmentSelector(0x08);

static TABLE: Once<Table> = Once::new();
static HANDLERS: [AtomicPtr<()>; 256] = [const { AtomicPtr::new(ptr::null_mut()) }; 256];
static NMIS: PerCpu<AtomicU64> =
    PerCpu::new([const { CachePadded::new(AtomicU64::new(0)) }; cpus::MAX_CPUS]);
static UNEXPECTED: AtomicU64 = AtomicU64::new(0);

cpu::interrupt_stubs!(stubs => dispatch);

/// Makes `handler` run when `vector` arrives, on whichever CPU.
///
/// Handlers run with IF = 0, inside [`window`] or [`wait`], so they may take the locks that the
/// code around those two may take. The end of interrupt follows the handler.
pub(crate) fn set_handler(vector: u8, handler: fn(u8)) {
    HANDLERS[usize::from(vector)].store(handler as *mut (), Release);
}

/// Takes the interrupts that are pending. Ends with GIF = 0 and IF = 0.
pub(crate) fn window() {
    // SAFETY: 1. EFER.SVME is set on every CPU. 2. The descriptor table is loaded, and handlers
    // leave registers and the stack above RSP alone; the target has no red zone. 3. Handlers may
    // change memory, so the block does not say `nomem`. The NOPs are for the shadow of STI.
    unsafe { asm!("stgi; sti; nop; nop; cli; clgi") };
}

/// Sleeps until an interrupt came, and takes it. Ends with GIF = 0 and IF = 0.
///
/// Whoever waits for a condition that a handler makes true checks it first, and waits while it is
/// false: nothing arrives between the check and the sleep, because STI's shadow covers HLT. That
/// does not hold for NMIs.
pub(crate) fn wait() {
    // SAFETY: as for `window`.
    unsafe { asm!("stgi; sti; hlt; cli; clgi") };
}

/// Returns how many NMIs CPU `cpu` has taken.
pub(crate) fn nmi_count(cpu: usize) -> u64 {
    NMIS.of(cpu).load(Relaxed)
}

/// Returns how many interrupts had no handler, on all CPUs.
pub(crate) fn unexpected_count() -> u64 {
    UNEXPECTED.load(Relaxed)
}

/// Masks the legacy controllers and makes this CPU take interrupts as described above.
pub(super) fn initialize() {
    for mask_register in [0x21, 0xa1] {
        // SAFETY: the mask register of an 8259A only decides what the controller passes on.
        unsafe { PortWriteOnly::new(mask_register).write(0xff_u8) };
    }
    load_table();
}

/// Loads the descriptor table on this CPU.
pub(super) fn load_table() {
    let table = TABLE.call_once(|| Table::new(stubs(), CODE));
    // SAFETY: every CPU runs on the GDT of `long_mode`, where `CODE` is 64-bit ring 0 code.
    unsafe { table.load() };
}

/// Where every stub ends.
extern "C" fn dispatch(frame: &mut Frame) {
    let [vector, ..] = frame.vector.to_le_bytes();
    if vector == NMI {
        NMIS.mine().fetch_add(1, Relaxed);
        return;
    }
    let handler = HANDLERS[usize::from(vector)].load(Acquire);
    if !handler.is_null() {
        // SAFETY: only `set_handler` stores here, and what it stores is a `fn(u8)`.
        let handler = unsafe { core::mem::transmute::<*mut (), fn(u8)>(handler) };
        handler(vector);
    } else if vector < FIRST_INTERRUPT {
        let (cpu, cr2) = (cpus::current(), Cr2::read_raw());
        console::bug_exit(format_args!("exception on cpu={cpu} cr2={cr2:#x}\n{frame}"));
    } else if UNEXPECTED.fetch_add(1, Relaxed) == 0 {
        log::warn!("interrupt without handler: vector={vector:#x}, further ones are only counted");
    }
    if (FIRST_INTERRUPT..lapic::SPURIOUS_VECTOR).contains(&vector) {
        lapic::eoi();
    }
}
