// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask test`: everything that can be checked on one machine, in stages.
//!
//! The cheap stages come first and the end-to-end tests last, so that their results are what one
//! sees. With a filter only tests are run, and only those whose name contains it.

use core::time::Duration;
use std::{process::ExitCode, time::Instant};

use super::{gates, lint};
use crate::{
    Result, builds::Builds, paths, progress::say, qemu::Qemu, tool::Tool, toolchain::cargo,
};

/// The package of the end-to-end tests.
const END_TO_END: &str = "lychgate-tests";

/// The packages whose lock-free types are explored by loom.
const MODEL_CHECKED: [&str; 3] = ["proxy-irq", "event-notify", "vmbus"];

/// How long a stage may take; only one that hangs needs it.
const LIMIT: Duration = Duration::from_secs(1800);

/// The same for the end-to-end tests, whose machines have limits of their own.
const END_TO_END_LIMIT: Duration = Duration::from_secs(4500);

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Run only tests whose name contains this
    filter: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let filter = options.filter.as_deref();
    stage("set-up", || Qemu::find(None).and_then(|_| Builds::make()).map(|_| ()))?;
    stage("unit tests", || unit_tests(filter))?;
    stage("loom", || model_checks(filter))?;
    if filter.is_none() {
        stage("lint", || lint::run().map(|_| ()))?;
        stage("gates", || gates::run(&gates::Options::default()).map(|_| ()))?;
    }
    stage("end-to-end", || end_to_end(filter))?;
    Ok(ExitCode::SUCCESS)
}

fn stage(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    say("stage", name);
    let start = Instant::now();
    let result = work();
    let outcome = if result.is_ok() { "passed" } else { "FAILED" };
    say("stage", &format!("{name} {outcome} ({:.1} s)", start.elapsed().as_secs_f32()));
    result
}

fn unit_tests(filter: Option<&str>) -> Result<()> {
    let exclude = ["--workspace", "--exclude", END_TO_END];
    cargo_test(&exclude, filter, LIMIT).visibly()
}

/// Runs loom's exhaustive exploration, built apart because it replaces the atomics.
fn model_checks(filter: Option<&str>) -> Result<()> {
    let packages = MODEL_CHECKED.iter().flat_map(|package| ["--package", package]);
    let selection: Vec<_> = packages.chain(["--lib", "--tests", "--release"]).collect();
    cargo_test(&selection, filter, LIMIT)
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_TARGET_DIR", paths::target().join("loom"))
        .visibly()
}

fn end_to_end(filter: Option<&str>) -> Result<()> {
    cargo_test(&["--package", END_TO_END], filter, END_TO_END_LIMIT).visibly()
}

fn cargo_test(selection: &[&str], filter: Option<&str>, limit: Duration) -> Tool {
    Tool::new(cargo(), limit)
        .args(["test", "--quiet"])
        .args(selection)
        .arg("--")
        .args(filter)
        .directory(paths::root())
}
