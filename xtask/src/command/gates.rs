// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask gates`: measures what `xtask/gates.toml` has numbers for, and compares.

use std::{env, fs, process::ExitCode};

use crate::{
    Result,
    builds::Builds,
    failure::Context,
    gates::{Gates, Measured, callgrind, lines, object_code, relay},
    paths,
    progress::say,
    qemu::Qemu,
    toolchain::Toolchain,
};

#[derive(Debug, Default, clap::Args)]
pub(super) struct Options {
    /// Write the numbers that are exact into xtask/gates.toml, the better and the worse
    #[arg(long)]
    accept: bool,
}

#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let gates = Gates::read()?;
    let (qemu, builds) = (Qemu::find(None)?, Builds::make()?);
    let read = |path: &std::path::Path| fs::read(path).context(|| path.display().to_string());
    let mut measured = Measured::new();
    let (paravisor, emulator) = (read(&builds.paravisor)?, read(&builds.emulator)?);
    object_code::measure(&paravisor, &emulator, &gates.excepted, &mut measured)?;
    let skipped = calls(&mut measured)?;
    relay::measure(&builds, &qemu, &mut measured)?;
    lines::measure(&builds, &qemu, &mut measured)?;
    let release = Toolchain::find()?.release;
    let judged = gates.judge(&measured, &release, &skipped);
    print!("{}", judged.table);
    if options.accept {
        let path = paths::root().join("xtask/gates.toml");
        fs::write(&path, gates.accepted(&measured)).context(|| path.display().to_string())?;
        say("gates", "numbers written; see the difference, and give the reason for each worse one");
        return Ok(ExitCode::SUCCESS);
    }
    judged.verdict()?;
    for kind in skipped {
        say("SKIPPED", &format!("{kind}*: not checked here"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts what calls cost; returns what could not be counted, which only a person's machine may say.
fn calls(measured: &mut Measured) -> Result<Vec<&'static str>> {
    let program = callgrind::build(measured)?;
    match callgrind::find() {
        Ok(valgrind) => callgrind::measure(&valgrind, &program, measured).map(|()| Vec::new()),
        Err(failure) if env::var_os("CI").is_none() => {
            say("SKIPPED", &failure.to_string());
            Ok(vec![callgrind::KIND])
        }
        Err(failure) => Err(failure),
    }
}
