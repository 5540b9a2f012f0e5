// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways for this guest to die.
//!
//! | way    | what happens |
//! |--------|--------------|
//! | limit  | there is no gate for any exception |
//! | idt    | the table of gates lies where nothing is |
//! | stack  | an exception finds its stack where nothing is |
//! | tables | the page tables lie where nothing is |
//! | cpu    | another CPU dies while this one runs |
//! | reset  | the port that resets a PC |
#![expect(unsafe_code, reason = "nothing is to work afterwards")]

use core::arch::asm;
use core::ptr;

use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

use crate::console::line;
use crate::failure::Failure;
use crate::{apic, port, wait};

/// In a hole: neither memory nor a device of this guest's.
const NOWHERE: u64 = 0xc000_0000;

/// Where the CPU that is to die starts, in real mode.
const PAGE: usize = 0x9000;

/// `lidt cs:[0x10]; ud2`, and a table of no gates at 0x10.
const DEATH: [u8; 22] =
    [0x2e, 0x0f, 0x01, 0x1e, 0x10, 0x00, 0x0f, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Dies in that way.
pub(crate) fn run(way: &str, cpus: u8) -> Result<(), Failure> {
    line!("info  fatal: way={way}");
    match way {
        "limit" => gates(0, 0),
        "idt" => gates(NOWHERE, 0xfff),
        // SAFETY: See the top of this file; so below.
        "stack" => unsafe { asm!("mov rsp, {0}", "ud2", in(reg) NOWHERE + 0x1000) },
        // SAFETY: As above.
        "tables" => unsafe { asm!("mov cr3, {0}", in(reg) NOWHERE) },
        "cpu" => return other_cpu(cpus),
        "reset" => port::write8(0xcf9, 6),
        _ => return Err(Failure::NoScenario),
    }
    Err(Failure::Instruction("this should have been the end"))
}

/// An exception with the gates there.
fn gates(base: u64, limit: u16) {
    let table = DescriptorTablePointer { limit, base: VirtAddr::new_truncate(base) };
    // SAFETY: See the top of this file.
    unsafe { lidt(&table) };
    // SAFETY: As above.
    unsafe { asm!("int3") };
}

/// Starts CPU 1 at its death, and stays busy.
fn other_cpu(cpus: u8) -> Result<(), Failure> {
    if cpus < 2 {
        return Err(Failure::BadDevice("no second CPU"));
    }
    let page = ptr::with_exposed_provenance_mut::<[u8; 22]>(PAGE);
    // SAFETY: The page is low memory that nothing of this guest lies in.
    unsafe { page.write_volatile(DEATH) };
    apic::start(1, 0x9000);
    wait::poll_until("the end", || false)
}
