// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench`: the relay beside what one would take in its place, measured on this machine.
//!
//! Instructions are counted by callgrind where there is valgrind; all else is measured by the program
//! itself. Nothing here judges: a goal that is not met is a figure, not a failure.

use core::time::Duration;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    Failure, Result,
    bare_metal::measured_on_the_host,
    failure::Context,
    paths,
    progress::{say, step},
    tool::Tool,
    toolchain::{Toolchain, cargo},
};

/// The package, and its program.
const PACKAGE: &str = "lychgate-bench";

const LIMIT: Duration = Duration::from_secs(1200);

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Measure a little of everything: half a minute
    #[arg(long)]
    quick: bool,
    /// Do not count instructions, which takes valgrind
    #[arg(long)]
    no_counts: bool,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let program = build()?;
    let output = paths::created(paths::target().join("bench"))?;
    let counts = if options.no_counts { None } else { count(&program, &output)? };
    let compiler = format!("rustc {}", Toolchain::find()?.release);
    Tool::new(&program, LIMIT)
        .arg("measure")
        .args(options.quick.then_some("--quick"))
        .args(counts.iter().flat_map(|counts| [Path::new("--counts"), counts]))
        .args([Path::new("--output"), &output])
        .args(["--compiler", &compiler])
        .visibly()?;
    for name in ["bench.json", "bench.html"] {
        say("bench", &output.join(name).display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the program as the images are built: release, link-time optimisation.
fn build() -> Result<PathBuf> {
    let tool = Tool::new(cargo(), LIMIT)
        .args(["build", "--release", "--quiet", "--package", PACKAGE])
        .args(measured_on_the_host())
        .directory(paths::root());
    step("build", PACKAGE, || tool.stdout())?;
    Ok(paths::target().join("release").join(PACKAGE))
}

/// Lets callgrind count; returns the directory of its files, or `None` if there is no valgrind.
fn count(program: &Path, output: &Path) -> Result<Option<PathBuf>> {
    let Some(valgrind) = paths::program("valgrind") else {
        say("bench", "instructions are not counted: apt-get install valgrind");
        return Ok(None);
    };
    let directory = output.join("callgrind");
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .context(|| format!("cannot empty {}", directory.display()))?;
    }
    paths::created(directory.clone())?;
    let file = directory.join("counts");
    let file = file.to_str().ok_or_else(|| Failure::new("the target directory is not UTF-8"))?;
    let tool = Tool::new(valgrind, LIMIT)
        .args(["--tool=callgrind", "--quiet", &format!("--callgrind-out-file={file}")])
        .arg(program)
        .arg("count");
    step("count", "instructions, by callgrind", || tool.stdout())?;
    Ok(Some(directory))
}
