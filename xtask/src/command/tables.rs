// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask tables`: the ACPI tables of a machine of QEMU's, for `cargo xtask run --tables`.

use std::{fs, path::PathBuf, process::ExitCode};

use crate::{
    Result,
    failure::Context,
    host_tables::{HostTables, Source},
    progress::say,
    qemu::Qemu,
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The directory to write the three files into, which is made if it is missing
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
    /// The machine, as QEMU calls it
    #[arg(long, value_name = "NAME", default_value = "q35")]
    machine: String,
    /// A device of the machine, as QEMU's option of the same name says it; can be given more than once
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// QEMU to use instead of $LYCHGATE_QEMU or the one in PATH
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let qemu = Qemu::find(options.qemu.as_deref())?;
    let devices: Vec<_> = options.device.iter().map(String::as_str).collect();
    let tables = HostTables::of(Source { machine: &options.machine, devices: &devices }, &qemu)?;
    let shown = options.directory.display();
    fs::create_dir_all(&options.directory).context(|| format!("cannot create {shown}"))?;
    tables.write(&options.directory)?;
    let program = tables.dsdt().map_or(0, <[u8]>::len);
    say("tables", &format!("{shown}: of {}, with {program} bytes of AML", options.machine));
    Ok(ExitCode::SUCCESS)
}
