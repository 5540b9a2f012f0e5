// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU shares a page and takes it back, over and over; another makes the paravisor read and write the
//! page meanwhile. Whatever the paravisor meets, it must not touch what is not private just then.
#![expect(unsafe_code, reason = "a hypercall is an instruction")]

use core::arch::asm;
use core::cell::Cell;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use super::{HYPERCALL, PROTECTION};
use crate::console::line;
use crate::failure::Failure;
use crate::hyperv::{PAGE, PRIVATE, SELF, SHARED, control, vmcall, write_msr};
use crate::{cpus, wait};

const ROUNDS: u32 = 60;
const CONVERTER: u8 = 1;

/// How long the page stays private.
const PRIVATE_TICKS: u64 = 20_000_000;

/// The converter's own input: partition, visibility, page.
#[repr(C, align(64))]
struct Input([AtomicU64; 3]);

static INPUT: Input = Input([const { AtomicU64::new(0) }; 3]);
static DONE: AtomicBool = AtomicBool::new(false);
static REFUSED: AtomicU32 = AtomicU32::new(0);

/// Races for the page of number `page`, if there is a second CPU.
pub(super) fn run(page: u64, cpus: u8) -> Result<(), Failure> {
    if cpus <= CONVERTER {
        return Ok(());
    }
    INPUT.0[0].store(SELF, SeqCst);
    INPUT.0[2].store(page, SeqCst);
    cpus::put_to_work(CONVERTER, convert);
    let counts = Counts::default();
    wait::poll_until("the end of a race", || {
        counts.round(page * PAGE);
        DONE.load(SeqCst)
    })?;
    line!("info  hypercalls: race: {counts:?}");
    holds!("an access in a race", counts.odd.get() == 0);
    holds!("conversions in a race", REFUSED.load(SeqCst) == 0);
    let met = [&counts.read, &counts.written, &counts.refused];
    holds!("a race that was one", met.iter().all(|count| count.get() > 0));
    Ok(())
}

/// What the paravisor's accesses met.
#[derive(Debug, Default)]
struct Counts {
    read: Cell<u32>,
    written: Cell<u32>,
    refused: Cell<u32>,
    odd: Cell<u32>,
}

impl Counts {
    /// Has the page read as the input of a call, and written as the page for calls.
    fn round(&self, page: u64) {
        let read = match vmcall(control(0, 1), page) {
            Ok(0xd) => &self.read,
            Ok(3) => &self.refused,
            _ => &self.odd,
        };
        let written = match write_msr(HYPERCALL, page + 1) {
            Ok(_) => &self.written,
            Err(PROTECTION) => &self.refused,
            Err(_) => &self.odd,
        };
        for count in [read, written] {
            count.set(count.get() + 1);
        }
    }
}

/// The other CPU.
fn convert() {
    for _ in 0..ROUNDS {
        for visibility in [SHARED, PRIVATE] {
            INPUT.0[1].store(visibility, SeqCst);
            if call() != 1 << 32 {
                REFUSED.fetch_add(1, SeqCst);
            }
        }
        // Conversions take long, and the page is shared for most of each.
        let since = cpu::tsc();
        while cpu::tsc().wrapping_sub(since) < PRIVATE_TICKS {
            spin_loop();
        }
    }
    DONE.store(true, SeqCst);
}

fn call() -> u64 {
    let result;
    // SAFETY: The call changes a page that Rust never touches, and RAX.
    unsafe {
        asm!(
            "vmcall",
            out("rax") result,
            in("rcx") control(0, 1),
            in("rdx") &raw const INPUT,
            in("r8") 0_u64,
        );
    }
    result
}
