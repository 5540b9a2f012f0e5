// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emulator by itself: its CPUs, interrupts and clock, before any TD.

use libtest_mimic::Trial;
use xtask::machine::Exit;

use crate::stand::{Stand, ended, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    [1, 2, 4]
        .map(|cpus| {
            scenario(format!("own_machine::the_self_test_passes_on_{cpus}_cpus"), move || {
                let stand = Stand::new(cpus, "scenario=idle").emulator_option("selftest=1");
                stand.run(|outcome| ended(outcome, &Exit::SUCCESS))
            })
        })
        .into()
}
