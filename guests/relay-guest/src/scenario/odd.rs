// SPDX-License-Identifier: MIT OR Apache-2.0
//! What no well-behaved guest does: instructions of hypervisors, and its own end.
#![expect(unsafe_code, reason = "instructions that no intrinsic offers")]

use core::arch::asm;

use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

use super::edu;
use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;
use crate::interrupts;

/// The exception of an undefined instruction.
const UNDEFINED: u64 = 6;

/// Runs one instruction, given by its bytes, and evaluates to the exception it caused.
macro_rules! exception_of {
    ($($byte:literal)*) => {{
        // SAFETY: The instruction either has no effect but on the registers listed here or raises
        // an exception; the handler then goes on at the label behind it.
        unsafe {
            asm!(
                "lea {scratch}, [rip + 2f]",
                "mov [{recovery}], {scratch}",
                concat!(".byte ", $($byte),*),
                "2:",
                recovery = in(reg) interrupts::recovery(),
                scratch = out(reg) _,
                inout("rax") 0_u64 => _,
                inout("rcx") 0_u64 => _,
                out("rdx") _,
            );
        }
        interrupts::recovered()
    }};
}

/// Runs odd instructions: each must do nothing or raise an exception, and life goes on.
pub(crate) fn instructions(machine: &mut Machine<'_>) -> Result<(), Failure> {
    let seen = [
        ("vmxoff", exception_of!("0x0f,0x01,0xc4")),
        ("vmlaunch", exception_of!("0x0f,0x01,0xc2")),
        ("vmresume", exception_of!("0x0f,0x01,0xc3")),
        ("getsec", exception_of!("0x0f,0x37")),
        ("tdcall", exception_of!("0x66,0x0f,0x01,0xcc")),
        ("seamcall", exception_of!("0x66,0x0f,0x01,0xcf")),
        ("vmcall", exception_of!("0x0f,0x01,0xc1")),
        ("wbinvd", exception_of!("0x0f,0x09")),
        ("rdpmc", exception_of!("0x0f,0x33")),
        ("xsetbv", exception_of!("0x0f,0x01,0xd1")),
        ("rdmsr", exception_of!("0x0f,0x32")),
    ];
    for (name, exception) in seen {
        match exception {
            Some(vector) => line!("info  odd: instruction={name} exception={vector}"),
            None => line!("info  odd: instruction={name} exception=none"),
        }
    }
    for (name, exception) in &seen[..4] {
        if *exception != Some(UNDEFINED) {
            return Err(Failure::Instruction(name));
        }
    }
    edu::raise(machine, 10)
}

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
