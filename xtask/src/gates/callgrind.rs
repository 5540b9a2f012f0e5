// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that a call of the relay takes on the host, counted by callgrind: the same in every run.

use core::time::Duration;
use std::{collections::BTreeMap, fs, path::PathBuf};

use super::{Measured, object_code};
use crate::{
    Failure, Result, bare_metal::measured_on_the_host, failure::Context, install::install,
    machine::Scratch, paths, progress::step, tool::Tool, toolchain::cargo,
};

/// The program that counts.
pub(crate) const PROGRAM: &str = "valgrind";

/// What installs it on Debian and its kin.
pub(crate) const INSTALL: &str = "apt-get install --yes --no-install-recommends valgrind";

/// What the ids begin with of numbers that need it.
pub(crate) const KIND: &str = "callgrind.";

/// What is run under it, which is the name of its package and of its profile as well.
const GAUGE: &str = "gauge";

const LIMIT: Duration = Duration::from_secs(600);

/// Finds or installs valgrind.
pub(crate) fn find() -> Result<PathBuf> {
    paths::program(PROGRAM).map_or_else(|| install(PROGRAM, INSTALL), Ok)
}

/// Builds the measuring program; takes down what its object code and its sizes say.
pub(crate) fn build(into: &mut Measured) -> Result<PathBuf> {
    step("build", GAUGE, || {
        let words = ["build", "--quiet", "--package", GAUGE, "--profile", GAUGE];
        let tool = Tool::new(cargo(), LIMIT).args(words).args(measured_on_the_host());
        tool.directory(paths::root()).stdout()
    })?;
    let program = paths::target().join(GAUGE).join(GAUGE);
    let bytes = fs::read(&program).context(|| program.display().to_string())?;
    object_code::measure_calls(&bytes, into)?;
    sizes(&Tool::new(&program, LIMIT).stdout()?, into)?;
    Ok(program)
}

/// Counts what the measuring program's calls take.
pub(crate) fn measure(valgrind: &PathBuf, program: &PathBuf, into: &mut Measured) -> Result<()> {
    let scratch = Scratch::new()?;
    let counts = scratch.path().join("counts");
    step("measure", "calls of the relay under callgrind", || {
        Tool::new(valgrind, LIMIT)
            .args(["--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
            .arg(format!("--callgrind-out-file={}", counts.display()))
            .arg(program)
            .stdout()
    })?;
    let text = fs::read_to_string(&counts).context(|| "callgrind left no counts".to_owned())?;
    for ((case, call), (calls, cost)) in edges(&text) {
        into.insert(format!("{KIND}{call}.{case}"), per_call(cost, calls));
    }
    for call in ["map", "unmap", "service"] {
        let of = |case| into.get(&format!("{KIND}{call}.{case}")).copied();
        if let (Some(few), Some(many)) = (of("of_2_cpus"), of("of_1024_cpus")) {
            into.insert(format!("{KIND}{call}.growth"), (many - few).max(0.0));
        }
    }
    Ok(())
}

/// Reads lines such as `size block=4096`.
fn sizes(text: &str, into: &mut Measured) -> Result<()> {
    for line in text.lines() {
        let odd = || Failure::new(format!("{GAUGE} says {line:?}"));
        let words = line.strip_prefix("size ").and_then(|words| words.split_once('='));
        let (name, bytes) = words.ok_or_else(odd)?;
        let bytes: u32 = bytes.parse().map_err(|_| odd())?;
        into.insert(format!("size.{name}"), bytes.into());
    }
    Ok(())
}

/// Calls and instructions for each pair of a case and what it calls.
type Edges = BTreeMap<(String, String), (u64, u64)>;

/// Reads callgrind's file: a line `fn=` for who calls, `cfn=` for what is called, `calls=` with their
/// number first, and in the next line their cost last.
fn edges(text: &str) -> Edges {
    let mut edges = Edges::new();
    let (mut case, mut call) = (None, None);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("fn=") {
            case = name.strip_prefix("gauge::cases::");
        } else if let Some(name) = line.strip_prefix("cfn=") {
            call = name.strip_prefix("gauge::measured::");
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
            let calls = number(calls.split(' ').next());
            let cost = number(lines.next().and_then(|line| line.split(' ').next_back()));
            if let (Some(case), Some(call), Some(calls), Some(cost)) = (case, call, calls, cost) {
                let sum = edges.entry((case.to_owned(), call.to_owned())).or_default();
                *sum = (sum.0 + calls, sum.1 + cost);
            }
        }
    }
    edges
}

/// Instructions per call, with three digits behind the point.
#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn per_call(cost: u64, calls: u64) -> f64 {
    (cost * 1000 / calls.max(1)) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::{Edges, edges, per_call, sizes};
    use crate::gates::Measured;

    #[test]
    fn costs_are_summed_by_case_and_call() {
        let text = "fn=gauge::cases::idle\n0 29\ncob=/libc.so\ncfn=memcpy\ncalls=1 0\n0 99\n\
                    cfn=gauge::measured::drain\ncalls=1 0 \n0 34\n0 3\n\
                    cfn=gauge::measured::drain\ncalls=999 0 \n0 33966\n\n\
                    fn=gauge::measured::drain\ncfn=other\ncalls=1000 0\n0 7\n";
        let key = ("idle".to_owned(), "drain".to_owned());
        assert_eq!(edges(text), Edges::from([(key, (1000, 34_000))]));
        assert!((per_call(34_001, 1000) - 34.001).abs() < 1e-9);
    }

    #[test]
    fn sizes_are_read_and_nothing_else() {
        let mut measured = Measured::new();
        sizes("size block=128\n", &mut measured).unwrap();
        assert_eq!(measured.get("size.block"), Some(&128.0));
        assert!(sizes("hello\n", &mut measured).is_err());
    }
}
