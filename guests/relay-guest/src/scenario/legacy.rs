// SPDX-License-Identifier: MIT OR Apache-2.0
//! Out of long mode, through 32-bit and PAE paging, and back; and what a processor refuses on the way.
//!
//! Spec: SDM "Paging Modes and Control Bits", "Initializing IA-32e Mode".
#![expect(unsafe_code, reason = "the CPU leaves the mode that Rust runs in")]

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use x86_64::instructions::interrupts::without_interrupts;

use super::edu;
use super::machine::Machine;
use crate::boot::{DIRECTORIES, PageTable, ROOT};
use crate::console::line;
use crate::failure::Failure;

/// Steps of the assembly.
const STEPS: u32 = 4;
const GENERAL_PROTECTION: u32 = 13;
const ROUNDS: u32 = 20;

/// A page directory of 32-bit paging: 1024 pages of 4 MiB.
#[repr(C, align(4096))]
struct Directory([AtomicU32; 1024]);

/// Steps that were done, the last fault, and the fault of paging with long mode but without PAE.
static DONE: AtomicU32 = AtomicU32::new(0);
static FAULT: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);

static DIRECTORY: Directory = Directory([const { AtomicU32::new(0) }; 1024]);
/// The four pointers of PAE paging, at the beginning of a page.
static POINTERS: PageTable = PageTable::new();

global_asm!(
    include_str!("legacy.S"),
    done = sym DONE,
    fault = sym FAULT,
    refused = sym REFUSED,
    directory = sym DIRECTORY,
    pointers = sym POINTERS,
    root = sym ROOT,
    options(att_syntax)
);

unsafe extern "sysv64" {
    fn relay_guest_legacy();
}

/// Goes there and back a few times.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    const PRESENT_WRITABLE_LARGE: u32 = 0x83;
    const PRESENT: u64 = 1;
    for (entry, number) in DIRECTORY.0.iter().zip(0_u32..) {
        entry.store(number << 22 | PRESENT_WRITABLE_LARGE, Relaxed);
    }
    for (pointer, directory) in POINTERS.0.iter().zip(&DIRECTORIES) {
        let address: &AtomicU64 = &directory.0[0];
        let address = (&raw const *address).expose_provenance() as u64;
        pointer.store(address | PRESENT, Relaxed);
    }
    for _ in 0..ROUNDS {
        DONE.store(0, Relaxed);
        // SAFETY: Everything that runs meanwhile is mapped where it is, and it comes back as it went.
        without_interrupts(|| unsafe { relay_guest_legacy() });
        let (done, refused) = (DONE.load(Relaxed), REFUSED.load(Relaxed));
        if done != STEPS || refused != GENERAL_PROTECTION {
            line!("result legacy done={done} refused={refused}");
            return Err(Failure::Instruction("paging"));
        }
    }
    line!("result legacy rounds={ROUNDS}");
    edu::raise(machine, 10)
}
