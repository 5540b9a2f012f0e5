// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask fuzz`: the targets of `fuzz/` under libFuzzer, on stable Rust.
//!
//! libFuzzer needs coverage and comparisons from the compiler. Stable rustc passes LLVM's options on, so
//! neither nightly nor cargo-fuzz is needed; a C++ compiler is, for libFuzzer itself. There is no address
//! sanitizer, which stable lacks, and which code that forbids unsafe has no use for.
//!
//! New inputs stay in `target/fuzz/inputs`, a finding in `target/fuzz/findings`. What is worth keeping is
//! put into `fuzz/corpus` by hand, and replayed by `cargo test` from then on.

use core::time::Duration;
use std::{fs, path::Path, process::ExitCode};

use crate::{
    Failure, Result, failure::Context, paths, progress::say, tool::Tool, toolchain::cargo,
};

/// Where libFuzzer's build lives: apart, for its flags differ.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// What cargo-fuzz passes too, less what only nightly has.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1";

/// Beyond the time that was asked for: start and report.
const GRACE: Duration = Duration::from_secs(120);

const BUILD_LIMIT: Duration = Duration::from_secs(1800);

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The targets to run one after the other, by their files in fuzz/fuzz_targets [default: all]
    targets: Vec<String>,
    /// How long to run each
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let directory = paths::target().join("fuzz");
    let known = targets()?;
    let targets = if options.targets.is_empty() { &known } else { &options.targets };
    for target in targets {
        if !known.contains(target) {
            let message = format!("no fuzz target {target}; there are: {}", known.join(", "));
            return Err(Failure::new(message));
        }
    }
    build(&directory)?;
    for target in targets {
        say("fuzz", &format!("{target} for {} s", options.seconds));
        fuzz(&directory, target, options.seconds)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the names of all targets.
fn targets() -> Result<Vec<String>> {
    let directory = paths::root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&directory).context(|| directory.display().to_string())?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn build(directory: &Path) -> Result<()> {
    Tool::new(cargo(), BUILD_LIMIT)
        .args(["build", "--quiet", "--release", "--package", "lychgate-fuzz", "--bins"])
        .args(["--target", PLATFORM, "--target-dir"])
        .arg(directory)
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .directory(paths::root())
        .visibly()
}

fn fuzz(directory: &Path, target: &str, seconds: u64) -> Result<()> {
    let (inputs, findings) =
        (directory.join("inputs").join(target), directory.join("findings").join(target));
    for path in [&inputs, &findings] {
        fs::create_dir_all(path).context(|| path.display().to_string())?;
    }
    Tool::new(
        directory.join(PLATFORM).join("release").join(target),
        Duration::from_secs(seconds) + GRACE,
    )
    .args([format!("-max_total_time={seconds}"), "-max_len=1024".to_owned()])
    .args(["-print_final_stats=1".to_owned(), format!("-artifact_prefix={}/", findings.display())])
    .arg(&inputs)
    .arg(paths::root().join("fuzz/corpus").join(target))
    .visibly()
}
