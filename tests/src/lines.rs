// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts by a line: the paravisor's own serial port and IO-APIC.

use libtest_mimic::Trial;
use xtask::machine::Exit;

use crate::stand::{Stand, Verdict, ended, said, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    [1, 2]
        .map(|cpus| {
            scenario(format!("lines::edges_levels_and_nonsense_on_{cpus}_cpus"), move || {
                lines(cpus)
            })
        })
        .into()
}

/// An edge a CPU, one that a CPU loses because it waits for its start, one after that, and a level that
/// comes again twice: each of its three ends exits, because the IO-APIC has to be told. What no CPU
/// takes is counted, and an edge at a masked pin is not.
fn lines(cpus: u32) -> Verdict {
    Stand::new(cpus, "scenario=lines").run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        said(outcome, "L2 | ", "lines: version=0x170020")?;
        said(outcome, "L2 | ", "result lines cpu=0 handled=")?;
        said(outcome, "L1 | ", "exits: reason=VIRTUALIZED_EOI count=3")?;
        said(outcome, "L1 | ", "count: io_apic_nonsense=5")
    })
}
