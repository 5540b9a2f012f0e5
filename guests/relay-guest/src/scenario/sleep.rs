// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU sleeps until its timer ends, over and over; nothing else would wake it.

use super::edu;
use super::machine::Machine;
use crate::console::line;
use crate::failure::Failure;
use crate::{apic, handled, vectors, wait};

const TIMES: u64 = 50;

/// Ticks of the time-stamp counter, about a millisecond: long enough to fall asleep.
const NAP: u64 = 2_000_000;

/// Sleeps, then takes a few interrupts to show that the machine still works.
pub(crate) fn run(machine: &mut Machine<'_>) -> Result<(), Failure> {
    for turn in 1..=TIMES {
        let deadline = cpu::tsc() + NAP;
        apic::arm_timer(vectors::TIMER, deadline);
        wait::halt_until("the timer", || handled::of(vectors::TIMER) == turn)?;
        if cpu::tsc() < deadline {
            return Err(Failure::Instruction("a deadline was met before its time"));
        }
    }
    line!("result sleep naps={TIMES}");
    edu::raise(machine, 10)
}
