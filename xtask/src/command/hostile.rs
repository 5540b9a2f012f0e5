// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask hostile`: run after run with a host that does what a seed says.
//!
//! Each seed is a run of its own, in a machine of its own; `hostile.rs` says what is run and how it is judged. The
//! exit status is 0 only if all seeds hold.

use core::time::Duration;
use std::{process::ExitCode, time::Instant};

use crate::{
    Result,
    builds::Builds,
    guest::Guest,
    hostile::{self, CPUS, Plan},
    image::Image,
    machine::{Machine, Outcome},
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
    #[arg(long, value_name = "N", default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// Show how each run ended
    #[arg(long)]
    verbose: bool,
    /// QEMU to use instead of $LYCHGATE_QEMU or the one in PATH
    #[arg(long, value_name = "PATH")]
    qemu: Option<std::path::PathBuf>,
    /// Give a run up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

#[expect(clippy::print_stdout, reason = "the results, which are what the command is for")]
pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let builds = Builds::make()?;
    let qemu = Qemu::find(options.qemu.as_deref())?;
    let since = Instant::now();
    let (mut ends, mut failed) = ([0_u64; 4], Vec::new());
    for seed in options.first..options.first.saturating_add(options.seeds) {
        let outcome = one(seed, &builds, &qemu, options.timeout)?;
        match hostile::judge(&outcome) {
            Ok(end) => {
                let kind = ["success", "the guest", "L1", "waiting"]
                    .iter()
                    .position(|way| end.starts_with(way));
                if let Some(count) = kind.and_then(|kind| ends.get_mut(kind)) {
                    *count += 1;
                }
                if options.verbose {
                    let seconds = outcome.duration.as_secs_f32();
                    say("seed", &format!("{seed}: {seconds:.1} s: {end}"));
                }
            }
            Err(why) => {
                println!("FAILED: seed {seed} ({:?}): {why}", hostile::plan(seed));
                let skipped = outcome.console.len().saturating_sub(SHOWN);
                outcome.console.iter().skip(skipped).for_each(|line| println!("    {line}"));
                outcome.report.rows.iter().for_each(|row| println!("    {row:?}"));
                outcome.report.cpus.iter().for_each(|cpu| println!("    {cpu:?}"));
                failed.push(seed);
            }
        }
        let done = seed - options.first + 1;
        if done.is_multiple_of(STEP) || done == options.seeds {
            let [well, guest, own, waiting] = ends;
            let (failures, seconds) = (failed.len(), since.elapsed().as_secs());
            say(
                "hostile",
                &format!(
                    "{done} of {} seeds in {seconds} s: {well} ended well, in {guest} the guest gave \
                     up, in {own} L1, in {waiting} it waited for ever, {failures} failed",
                    options.seeds
                ),
            );
        }
    }
    if failed.is_empty() {
        println!("PASSED: {} seeds: no panic, nothing lost, no strange vector", options.seeds);
        Ok(ExitCode::SUCCESS)
    } else {
        println!("FAILED: seeds {failed:?}");
        Ok(ExitCode::FAILURE)
    }
}

fn one(seed: u64, builds: &Builds, qemu: &Qemu, timeout: u64) -> Result<Outcome> {
    let Plan { guest, paravisor, host } = hostile::plan(seed);
    let paravisor = format!("log=info cpus={CPUS} {paravisor}");
    let line = format!("{guest} cpus={CPUS}");
    let image = Image::assemble(builds, &paravisor, &Guest::relay(builds)?, &line)?;
    let machine = Machine {
        smp: CPUS,
        host: host.to_owned(),
        options: vec![format!("hostile={seed}")],
        limit: Duration::from_secs(timeout),
        ..Machine::default()
    };
    machine.run(qemu, builds, &image)
}
