// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels of Debian's, unmodified.

use libtest_mimic::Trial;
use xtask::debian_kernel::Series;
use xtask::machine::Exit;

use crate::stand::{Stand, Verdict, check, ended, scenario};

/// The scenarios of this theme.
pub(crate) fn scenarios() -> Vec<Trial> {
    let boots = Series::ALL.into_iter().flat_map(|series| [1, 2, 4].map(|cpus| (series, cpus)));
    let boots = boots.map(|(series, cpus)| {
        let name = format!("linux::debian_{series}_reaches_user_space_on_{cpus}_cpus");
        scenario(name, move || boot(series, cpus))
    });
    boots.collect()
}

/// The kernel finds all CPUs, runs our first program and switches the machine off.
fn boot(series: Series, cpus: u32) -> Verdict {
    Stand::linux(cpus, series, "", None)?.run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        let said = outcome.report.guest.first().map(String::as_str).unwrap_or_default();
        let kernel = format!("result boot=ok kernel={series}.");
        let found = format!(" cpus={cpus}");
        check!(said.starts_with(&kernel) && said.ends_with(&found), "the guest said \"{said}\"");
        Ok(())
    })
}
