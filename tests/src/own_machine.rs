// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emulator by itself: its CPUs, interrupts and clock, and its TDX module as a host calls it.

use libtest_mimic::Trial;
use xtask::machine::Exit;

use crate::stand::{Stand, ended, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    [("1", 1), ("1", 2), ("1", 4), ("module", 1), ("module", 2)]
        .map(|(kind, cpus)| {
            let test = if kind == "1" { "self_test" } else { "self_test_of_the_module" };
            scenario(format!("own_machine::the_{test}_passes_with_smp_{cpus}"), move || {
                let option = format!("selftest={kind}");
                let stand = Stand::new(cpus, "scenario=idle").emulator_option(&option);
                stand.run(|outcome| ended(outcome, &Exit::SUCCESS))
            })
        })
        .into()
}
