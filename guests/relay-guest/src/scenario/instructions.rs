// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every instruction that can make L2 exit, in ring 0 and ring 3, as 64-bit and as 32-bit code.
//!
//! Each must complete or give the exception that its row allows, and the guest lives on. A mismatch
//! gets a `result` line of its own, up to a limit; the last line has the totals.
#![expect(unsafe_code, reason = "control registers are put back")]

/// One instruction and how it may end.
mod row;

/// The instructions that stand for themselves.
mod table;

/// Those with many operands: control registers, leaves, MSRs, ports.
mod operands;

use row::{Ends, Row};
use x86_64::registers::control::{Cr0, Cr4};

use super::edu;
use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;
use crate::ring::{self, End, Mode, Registers};

/// Most mismatches that get a line.
const SHOWN: u32 = 40;

/// Executes them all, then takes a few interrupts to show that the machine still works.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    ring::prepare();
    operands::settle();
    let mut tally = Tally::default();
    let tables = [table::HYPERVISORS, table::KERNELS, table::REGISTERS, table::TRANSFERS];
    for row in tables.into_iter().flatten() {
        tally.row(row);
    }
    operands::run(&mut tally);
    line!("result instructions={} mismatches={}", tally.executed, tally.mismatches);
    if tally.mismatches > 0 {
        return Err(Failure::Instruction("see the mismatches"));
    }
    edu::raise(machine, 10)
}

/// An instruction with its operands, about to be executed.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    name: &'static str,
    code: &'static [u8],
    registers: Registers,
    /// Set in RFLAGS.
    flags: u64,
    wanted: Ends,
}

impl Attempt {
    const fn new(name: &'static str, code: &'static [u8], wanted: Ends) -> Self {
        let registers = Registers { rax: 0, rcx: 0, rdx: 0, rbx: 0, rsi: 0, rdi: 0, others: 0 };
        Self { name, code, registers, flags: 0, wanted }
    }

    const fn rax(mut self, rax: u64) -> Self {
        self.registers.rax = rax;
        self
    }

    const fn rcx(mut self, rcx: u64) -> Self {
        self.registers.rcx = rcx;
        self
    }

    const fn edx_eax(mut self, value: u64) -> Self {
        (self.registers.rdx, self.registers.rax) = (value >> 32, value & 0xffff_ffff);
        self
    }
}

/// What was executed and what went wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    executed: u32,
    mismatches: u32,
}

impl Tally {
    /// A row, in every kind of code that it is for.
    fn row(&mut self, row: &Row) {
        for mode in Mode::ALL {
            let Some(wanted) = row.wanted(mode) else { continue };
            let mut attempt = Attempt::new(row.name, row.code, wanted).rax(row.rax);
            attempt.registers.rbx = ring::scratch();
            self.check(mode, &attempt);
        }
    }

    /// As 64-bit code of ring 0.
    fn kernel(&mut self, attempt: &Attempt) {
        self.check(Mode::Kernel64, attempt);
    }

    /// In all kinds of code; ring 3 gets `user`.
    fn everywhere(&mut self, attempt: &Attempt, user: Ends) {
        for mode in Mode::ALL {
            let wanted = if mode.is_user() { user } else { attempt.wanted };
            self.check(mode, &Attempt { wanted, ..*attempt });
        }
    }

    /// Executes one, and puts the control registers back.
    fn check(&mut self, mode: Mode, attempt: &Attempt) -> Option<End> {
        let before = (Cr0::read_raw(), Cr4::read_raw());
        let end = ring::run(mode, attempt.code, attempt.registers, attempt.flags);
        if (Cr0::read_raw(), Cr4::read_raw()) != before {
            // SAFETY: This is the value that this code has always run with.
            unsafe { Cr0::write_raw(before.0) };
            // SAFETY: As above.
            unsafe { Cr4::write_raw(before.1) };
        }
        self.executed += 1;
        if !end.is_some_and(|end| attempt.wanted.contain(end)) {
            self.mismatches += 1;
            if self.mismatches <= SHOWN {
                let Attempt { name, code, registers, wanted, .. } = attempt;
                let got = end.map(|end| end.vector);
                line!(
                    "result mismatch={name} mode={mode:?} code={code:x?} rax={:#x} rcx={:#x} \
                     rdx={:#x} wanted={:#x} got={got:?}",
                    registers.rax,
                    registers.rcx,
                    registers.rdx,
                    wanted.bits()
                );
            }
        }
        end
    }
}
