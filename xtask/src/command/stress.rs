// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask stress`: as many acknowledged interrupts as wanted, while mappings come and go.
//!
//! The guest's scenario `stress` takes bursts that the emulator rings on every CPU, and beside them the rings of
//! the doorbell's outside end at entries that it masks and moves all the time. Its progress is shown. The exit
//! status is 0 only if every ring of a burst was handled once, by the guest's count and by the emulator's, and what
//! `run` judges holds for all interrupts.

use core::time::Duration;
use std::process::ExitCode;

use crate::{
    Result,
    builds::Builds,
    guest::Guest,
    image::Image,
    machine::{Console, Machine, Outcome},
    progress::say,
    qemu::Qemu,
};

/// Entries of the doorbell in use; the last eight of them change.
const ENTRIES: u32 = 48;
const CHANGING: u32 = 8;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Interrupts in bursts; those of the changing entries come on top
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    interrupts: u32,
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=8))]
    smp: u32,
    /// QEMU to use instead of $LYCHGATE_QEMU or the one in PATH
    #[arg(long, value_name = "PATH")]
    qemu: Option<std::path::PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 24 * 3600)]
    timeout: u64,
}

#[expect(clippy::print_stdout, reason = "the results, which are what the command is for")]
pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let Options { interrupts, smp, .. } = *options;
    let builds = Builds::make()?;
    let qemu = Qemu::find(options.qemu.as_deref())?;
    let line = format!("scenario=stress vectors={ENTRIES} count={interrupts} cpus={smp}");
    let paravisor = format!("log=info cpus={smp}");
    let image = Image::assemble(&builds, &paravisor, &Guest::relay(&builds)?, &line)?;
    let lanes = (ENTRIES - CHANGING) / smp;
    let machine = Machine {
        smp,
        options: vec![format!("flood={lanes}:{interrupts}")],
        limit: Duration::from_secs(options.timeout),
        console: Console::Live,
        ..Machine::default()
    };
    say("stress", &format!("{interrupts} interrupts in bursts of {lanes} on {smp} CPU(s)"));
    let outcome = machine.run(&qemu, &builds, &image)?;
    let seconds = outcome.duration.as_secs();
    Ok(match judge(&outcome, interrupts.into()) {
        Ok(verdict) => {
            println!("{verdict} in {seconds} s");
            ExitCode::SUCCESS
        }
        Err(verdict) => {
            println!("{verdict} after {seconds} s");
            ExitCode::FAILURE
        }
    })
}

/// The verdict in a few lines, by kind of interrupt.
fn judge(outcome: &Outcome, wanted: u64) -> core::result::Result<String, String> {
    let verdict = outcome.judge()?;
    let flood = outcome.report.flood.ok_or("FAILED: the report tells of no bursts")?;
    let said = |key: &str| {
        let mut words = outcome.report.guest.iter().flat_map(|line| line.split_whitespace());
        words.find_map(|word| word.strip_prefix(key)?.parse::<u64>().ok())
    };
    let (bursts, changing) = (said("bursts="), said("changing="));
    if (flood.rung, flood.lost, bursts) != (wanted, 0, Some(wanted)) {
        return Err(format!("FAILED: {flood:?}, and the guest counted {bursts:?} of them"));
    }
    Ok(format!(
        "bursts of the emulated host: {wanted} rung, {wanted} acknowledged\n\
         rings of the device at changing entries: {} acknowledged, with {} changes\n\
         {verdict}",
        changing.unwrap_or(0),
        said("changes=").unwrap_or(0),
    ))
}
