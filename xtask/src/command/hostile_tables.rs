// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask hostile-tables`: a TD whose host gives it changed ACPI tables, over and over.
//!
//! Results go to standard output, everything else to standard error. A seed that fails is named, with the end of its
//! transcript. The exit status is 0 only if all seeds hold.

use core::time::Duration;
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Instant};

use crate::{
    Result,
    builds::Builds,
    guest::Guest,
    hostile_tables::{GUEST, Tables},
    image::Image,
    machine::Machine,
    progress::say,
    qemu::Qemu,
};

/// Lines of the console that a failure shows.
const SHOWN: usize = 20;

/// Seeds between two lines of progress.
const STEP: u64 = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 250)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// Words for the paravisor's command line: what it makes of the tables
    #[arg(long, value_name = "WORDS", default_value = "acpi=routes")]
    paravisor: String,
    /// Show how each run ended
    #[arg(long)]
    verbose: bool,
    /// QEMU to use instead of $LYCHGATE_QEMU or the one in PATH
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
    /// Give a run up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

#[expect(clippy::print_stdout, reason = "the results, which are what the command is for")]
pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let builds = Builds::make()?;
    let qemu = Qemu::find(options.qemu.as_deref())?;
    let words = format!("log=info cpus=1 identity=hyperv {}", options.paravisor);
    let line = format!("{GUEST} cpus=1");
    let image = Image::assemble(&builds, &words, &Guest::relay(&builds)?, &line)?;
    let tables = Tables::take(&qemu)?;
    let (since, mut ends, mut failed) = (Instant::now(), BTreeMap::new(), Vec::new());
    for seed in options.first..options.first.saturating_add(options.seeds) {
        let plan = tables.plan(seed)?;
        let limit = Duration::from_secs(options.timeout);
        let machine = Machine { limit, ..plan.machine() };
        let outcome = machine.run(&qemu, &builds, &image)?;
        match plan.judge(&outcome) {
            Ok(end) => {
                if options.verbose {
                    let seconds = outcome.duration.as_secs_f32();
                    say("seed", &format!("{seed}: {seconds:.1} s: {}: {end}", plan.name));
                }
                *ends.entry(end).or_insert(0_u64) += 1;
            }
            Err(why) => {
                println!("FAILED: seed {seed} ({}): {why}", plan.name);
                let skipped = outcome.console.len().saturating_sub(SHOWN);
                outcome.console.iter().skip(skipped).for_each(|line| println!("    {line}"));
                failed.push(seed);
            }
        }
        let done = seed - options.first + 1;
        if done.is_multiple_of(STEP) || done == options.seeds {
            let (failures, seconds) = (failed.len(), since.elapsed().as_secs());
            let all = options.seeds;
            say("tables", &format!("{done} of {all} seeds in {seconds} s, {failures} failed"));
        }
    }
    ends.iter().for_each(|(end, count)| println!("{count:6}  {end}"));
    if failed.is_empty() {
        println!(
            "PASSED: {} seeds: each has its reason, and the relay did not suffer",
            options.seeds
        );
        Ok(ExitCode::SUCCESS)
    } else {
        println!("FAILED: seeds {failed:?}");
        Ok(ExitCode::FAILURE)
    }
}
