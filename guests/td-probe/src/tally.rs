// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line for each check, and the sum.

use core::fmt::Debug;

use tdcall::Registers;

use crate::{console, door};

/// How many checks went which way.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u32,
    failed: u32,
}

/// Registers that no leaf takes for an operand by accident: each has a value of its own.
pub(crate) const JUNK: Registers = Registers {
    rax: 0,
    rcx: 0x1c1c_0001,
    rdx: 0x2d2d_0002,
    rbx: 0x3b3b_0003,
    rsi: 0x6565_0006,
    rdi: 0x7676_0007,
    r8: 0x0808_0008,
    r9: 0x0909_0009,
    r10: 0x1010_0010,
    r11: 0x1111_0011,
    r12: 0x1212_0012,
    r13: 0x1313_0013,
    r14: 0x1414_0014,
    r15: 0x1515_0015,
};

impl Tally {
    /// Compares; one line.
    pub(crate) fn check<T: PartialEq + Debug>(&mut self, name: &str, got: T, wanted: T) {
        if got == wanted {
            self.passed += 1;
            console::line(format_args!("ok   {name}"));
        } else {
            self.failed += 1;
            console::line(format_args!("FAIL {name}: got {got:x?} wanted {wanted:x?}"));
        }
    }

    /// Calls the module with `input`; wants `input` back but for what `outputs` changes in it.
    pub(crate) fn call(
        &mut self,
        name: &str,
        input: Registers,
        outputs: impl FnOnce(&mut Registers),
    ) {
        let mut wanted = input;
        outputs(&mut wanted);
        let mut got = input;
        door::tdcall(&mut got);
        self.registers(name, &got, &wanted);
    }

    /// As [`call`](Self::call), for the many calls that change nothing but RAX.
    pub(crate) fn status(&mut self, name: &str, input: Registers, status: u64) {
        self.call(name, input, |r| r.rax = status);
    }

    /// Compares registers; the line names the first that differs.
    pub(crate) fn registers(&mut self, name: &str, got: &Registers, wanted: &Registers) {
        let differs = named(got).into_iter().zip(named(wanted)).find(|(got, wanted)| got != wanted);
        let (got, wanted) = differs.unwrap_or_default();
        self.check(name, got, wanted);
    }

    /// Writes the sum and ends the run.
    pub(crate) fn end(&self) -> ! {
        let Self { passed, failed } = self;
        console::line(format_args!("probe: {passed} passed, {failed} failed"));
        console::end(u32::from(*failed != 0))
    }
}

fn named(r: &Registers) -> [(&'static str, u64); 14] {
    [
        ("RAX", r.rax),
        ("RCX", r.rcx),
        ("RDX", r.rdx),
        ("RBX", r.rbx),
        ("RSI", r.rsi),
        ("RDI", r.rdi),
        ("R8", r.r8),
        ("R9", r.r9),
        ("R10", r.r10),
        ("R11", r.r11),
        ("R12", r.r12),
        ("R13", r.r13),
        ("R14", r.r14),
        ("R15", r.r15),
    ]
}
