// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting the other CPUs: INIT and SIPI to all, numbers in the order of their APIC IDs.
//!
//! # Orderings
//!
//! A starting CPU sets its bit in `PRESENT` by a locked instruction and spins on its byte of
//! `NUMBERS`, both in the assembly of `long_mode`. The byte is stored with `Release`, and every
//! x86 load acquires: what the CPU that boots did before is seen. It in turn sees what the others did
//! before they counted themselves into `READY` with `Release`.
//!
//! Spec: SDM "MP Initialization Protocol Requirements and Restrictions".
#![expect(unsafe_code, reason = "copies code to where other CPUs run it")]

use core::sync::atomic::{
    AtomicU8, AtomicU32,
    Ordering::{Relaxed, Release},
};

use spin::Once;

use super::{APIC_IDS, BOOT, MAX_CPUS, READY, count};
use crate::machine::{clock, console, features, fw_cfg, interrupt, lapic, long_mode, memory};

/// Which APIC IDs came up.
pub(in crate::machine) static PRESENT: [AtomicU32; 8] = [const { AtomicU32::new(0) }; 8];

/// The CPU number of each APIC ID, plus 1; 0 while it has none. The CPU that boots needs none.
pub(in crate::machine) static NUMBERS: [AtomicU8; 256] = [const { AtomicU8::new(0) }; 256];

/// What the others do.
static ENTRY: Once<fn(usize) -> !> = Once::new();

/// How long the others may take. Generous: an overcommitted host lets them run one by one.
const PATIENCE_NS: u64 = 10_000_000_000;

/// Starts all other CPUs. Each calls `entry` with its number, ready for interrupts.
///
/// Returns when all have come that far. To be called once, by the CPU that boots.
pub(crate) fn start_others(entry: fn(cpu: usize) -> !) {
    let all = usize::from(fw_cfg::processors());
    if !(2..=MAX_CPUS).contains(&all) {
        let reason = "one boots, the others run the TD";
        console::error_exit(0x12, format_args!("{all} CPUs, not 2 to {MAX_CPUS}: {reason}"));
    }
    let others = all - 1;
    ENTRY.call_once(|| entry);
    APIC_IDS[BOOT].store(lapic::id(), Relaxed);
    install_trampoline();
    lapic::start_all_others(long_mode::TRAMPOLINE_PAGE);
    wait_until("came up", others, present);
    assign_numbers();
    wait_until("are ready", others, count);
    log::info!("running: cpus={others}");
}

/// Where the assembly of the other CPUs ends.
pub(in crate::machine) extern "C" fn start(cpu: usize) -> ! {
    features::enable();
    interrupt::load_table();
    lapic::enable();
    READY.fetch_add(1, Release);
    match ENTRY.get() {
        Some(entry) => entry(cpu),
        None => console::bug_exit(format_args!("cpu={cpu} started before anyone asked")),
    }
}

/// Gives the CPUs that came up the numbers 0, 1, … by ascending APIC ID, and so lets them go on.
fn assign_numbers() {
    let others = (0..=u8::MAX).filter(|&id| is_present(id));
    for (number, id) in (0_u8..).zip(others) {
        APIC_IDS[usize::from(number)].store(id, Relaxed);
        NUMBERS[usize::from(id)].store(number + 1, Release);
    }
}

fn is_present(id: u8) -> bool {
    PRESENT[usize::from(id / 32)].load(Relaxed) >> (id % 32) & 1 == 1
}

fn present() -> usize {
    PRESENT.iter().map(|word| word.load(Relaxed).count_ones() as usize).sum()
}

/// Waits until `actual` is `expected`, but not for ever.
fn wait_until(what: &str, expected: usize, actual: fn() -> usize) {
    let deadline = clock::now_ns() + PATIENCE_NS;
    while actual() < expected {
        if clock::now_ns() > deadline {
            let actual = actual();
            console::error_exit(0x15, format_args!("only {actual} of {expected} CPUs {what}"));
        }
        core::hint::spin_loop();
    }
}

fn install_trampoline() {
    let code = long_mode::trampoline();
    // SAFETY: 1. the target is RAM below 1 MiB, which the page allocator never hands out and where
    // the loader's tables are no longer needed. 2. The source is in L0's image, above 1 MiB. 3. The
    // code is shorter than a page.
    unsafe {
        memory::at::<u8>(long_mode::TRAMPOLINE).copy_from_nonoverlapping(code.as_ptr(), code.len());
    }
}
