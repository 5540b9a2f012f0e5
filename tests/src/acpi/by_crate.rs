// SPDX-License-Identifier: MIT OR Apache-2.0
//! What bad AML does to an interpreter without limits, and to ours: the crate dies of it, and its VM alone.

use libtest_mimic::Trial;
use xtask::host_tables::{HostTables, Source, changes};
use xtask::machine::Exit;
use xtask::qemu::Qemu;

use super::ANSWERED;
use crate::account;
use crate::stand::{Stand, Verdict, ended, said, scenario};

/// The seed of a change, what it is, and how the crate's VM ends by it.
const CASES: [(u64, &str, &str); 4] = [
    (4, "a loop", "it took too long"),
    (9, "a recursion", "an exception"),
    (24, "a huge buffer", "it panicked or had no memory left"),
    (54, "giving up", "it panicked or had no memory left"),
];

/// The scenarios of this part.
pub(super) fn scenarios() -> Vec<Trial> {
    let cases = CASES.into_iter().map(|(seed, what, ending)| {
        let name = format!("acpi::{}_ends_the_crate_and_not_us", what.replace(' ', "_"));
        scenario(name, move || {
            let tables = tables(seed, what)?;
            let crate_ends = format!("acpi: vm: {ending}");
            without_a_line(&tables, "acpi=crate", &crate_ends, "were not evaluated")?;
            without_a_line(&tables, "acpi=routes", ANSWERED, "cannot be loaded")
        })
    });
    cases.collect()
}

/// All that interrupts by messages does so as ever, and L1 says why there is no line.
fn without_a_line(tables: &HostTables, word: &str, end: &str, why: &str) -> Verdict {
    let stand = Stand::new(1, "scenario=demo").tables(tables.clone()).paravisor_option(word);
    stand.run(|outcome| {
        ended(outcome, &Exit::SUCCESS)?;
        account::exact(outcome)?;
        said(outcome, "L1 | info  ", end)?;
        said(outcome, "L1 | warn  ", &format!("intx: device=00:01.0 pin=A: the tables {why}"))
    })
}

/// The tables of the machine with a change to their program.
fn tables(seed: u64, what: &str) -> Result<HostTables, String> {
    let of_machine = || HostTables::of(Source { machine: "q35", devices: &[] }, &Qemu::find(None)?);
    let tables = of_machine().map_err(|failure| failure.to_string())?;
    let dsdt = tables.dsdt().ok_or("the machine has no DSDT")?;
    let change = changes::of_seed(dsdt, seed);
    if !change.name.starts_with(what) {
        return Err(format!("seed {seed} is {} now", change.name));
    }
    tables.with_dsdt(&change.dsdt).ok_or_else(|| "there is no place for another DSDT".to_owned())
}
