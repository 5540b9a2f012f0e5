// SPDX-License-Identifier: MIT OR Apache-2.0
//! What no well-behaved guest does: its own end, and never an end.
#![expect(unsafe_code, reason = "instructions that no intrinsic offers")]

use core::arch::asm;

use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;

/// Ends in a shutdown: there is no table that an exception could be looked up in.
pub(crate) fn triple_fault() -> Result<(), Failure> {
    line!("info  odd: triple fault follows");
    let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::zero() };
    // SAFETY: Nothing is to work afterwards.
    unsafe { lidt(&nothing) };
    // SAFETY: The breakpoint finds no gate, and neither do the faults that follow from that.
    unsafe { asm!("int3") };
    Err(Failure::Instruction("int3"))
}

/// Sets the devices up and sleeps for ever, taking what comes.
pub(crate) fn idle(machine: &mut Machine<'_>) -> Result<(), Failure> {
    machine.edu()?.assign(0);
    let entries = machine.entries(8)?;
    super::exact::assign_all(machine, 0..entries)?;
    line!("info  odd: idle for ever");
    loop {
        x86_64::instructions::interrupts::enable_and_hlt();
    }
}
