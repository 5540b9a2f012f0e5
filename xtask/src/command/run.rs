// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask run`: the image in the emulator, and what became of each interrupt.
//!
//! Results go to standard output, everything else to standard error. The exit status is 0 only if
//! the guest said success, nothing was lost and no relayed interrupt took a detour by the host.

use core::time::Duration;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The guest's disk.
mod attached;

/// What it came to.
mod present;

use self::{
    attached::Attached,
    present::{present, write_trace},
};
use super::{
    guest_options::{GuestOptions, Prepared},
    image::Measurements,
};
use crate::{
    Failure, Result,
    builds::Builds,
    debugger,
    failure::Context,
    guest::read,
    host_tables::HostTables,
    image::{Image, RelayTable},
    machine::{Clock, Console, Machine},
    progress::say,
    qemu::Qemu,
};

/// The port that the debugger stub listens on unless another one is asked for.
const GDB_PORT: &str = "1234";

/// Time enough for a person with a debugger.
const NO_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    guest: GuestOptions,
    /// Run this image instead of building one
    #[arg(long, value_name = "PATH", conflicts_with = "GuestOptions")]
    image: Option<PathBuf>,
    /// An NVMe disk for the guest: an image, which the guest may change, or `test`
    #[arg(long, value_name = "PATH|test")]
    disk: Option<PathBuf>,
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    smp: u32,
    /// Memory of the TD [default: 512 for Linux, else 128]
    #[arg(long, value_name = "MiB", value_parser = clap::value_parser!(u32).range(40..=2048))]
    memory: Option<u32>,
    /// QEMU to use instead of $LYCHGATE_QEMU or the one in PATH
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
    /// What the emulated host speaks
    #[arg(long, value_name = "FLAVOUR", default_value = "ghci", value_parser = ["ghci", "hyperv"])]
    host: String,
    /// ACPI tables to show the TD in place of the machine's: a directory with the files `tables`,
    /// `table-loader` and `rsdp` of QEMU's firmware configuration; see `cargo xtask tables`
    #[arg(long, value_name = "DIRECTORY")]
    tables: Option<PathBuf>,
    /// More words for the emulator's command line
    #[arg(long, value_name = "WORDS", default_value = "")]
    emulator: String,
    /// Print all figures as one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Wait for gdb before the first instruction; prints the command line for gdb
    #[arg(long)]
    gdb: bool,
    /// The port to wait on
    #[arg(long, value_name = "PORT", default_value = GDB_PORT, requires = "gdb")]
    gdb_port: u16,
    /// Write the events as a trace for Chrome or Perfetto; implies --icount
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Let instructions drive all clocks: runs are the same but for bells from outside
    #[arg(long)]
    icount: bool,
    /// How much emulator and paravisor say: off, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
    /// Give up after so many seconds [default: 900 for Linux, else 120]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Show the console while it runs
    #[arg(long)]
    verbose: bool,
}

/// What is run: built now, or given.
struct Subject {
    builds: Builds,
    image: Vec<u8>,
    relay_table: Option<RelayTable>,
    machine: Machine,
    disk: Option<Attached>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let tables = options.tables.as_deref().map(HostTables::read).transpose()?;
    let mut subject = subject(options)?;
    subject.machine.tables = tables;
    let qemu = Qemu::find(options.qemu.as_deref())?;
    if options.gdb {
        let command = debugger::prepare(&subject.builds, options.gdb_port)?;
        say("gdb", &format!("waiting on port {}; in another terminal:", options.gdb_port));
        say("", &command);
    }
    let Subject { builds, image, relay_table, machine, disk } = &subject;
    say("run", &format!("{} with {} CPU(s)", qemu.program.display(), machine.smp));
    let outcome = machine.run_emulator(&qemu, &builds.emulator, image, *relay_table)?;
    if let Some(path) = &options.trace {
        write_trace(path, &outcome)?;
    }
    let disk = disk.as_ref().map_or(Ok(()), |disk| disk.check(&outcome));
    Ok(present(options, &outcome, disk))
}

fn subject(options: &Options) -> Result<Subject> {
    let disk = options.disk.as_deref().map(Attached::new).transpose()?;
    match &options.image {
        Some(path) => given(options, path, disk),
        None => built(options, disk),
    }
}

/// Builds the image. What is wrong with the guest's files is found before anything is built.
fn built(options: &Options, disk: Option<Attached>) -> Result<Subject> {
    let prepared = options.guest.prepare(Attached::kind(disk.as_ref()))?;
    let builds = Builds::make()?;
    let Prepared { guest_line, paravisor, .. } = &prepared;
    let words = format!("log={} {paravisor}", options.log);
    let Image { bytes, relay_table, least_memory } =
        Image::assemble(&builds, &words, &prepared.guest(&builds)?, guest_line)?;
    let machine = machine(options, &prepared, disk.as_ref());
    let memory = machine.td_memory;
    if memory < least_memory {
        return Err(Failure::new(format!(
            "the guest needs --memory {least_memory} at least, not {memory}"
        )));
    }
    Ok(Subject { builds, image: bytes, relay_table, machine, disk })
}

fn given(options: &Options, path: &Path, disk: Option<Attached>) -> Result<Subject> {
    let image = read(path)?;
    let parsed = tdvf::parse(&image).context(|| path.display().to_string())?;
    let prepared = Prepared::of_image(&parsed, Attached::kind(disk.as_ref()));
    let builds = Builds::make()?;
    let relay_table = Measurements::relay_table_beside(path, &image);
    if relay_table.is_none() {
        say("image", "nothing beside it tells where its relay table is: no figures per vector");
    }
    let machine = machine(options, &prepared, disk.as_ref());
    Ok(Subject { builds, image, relay_table, machine, disk })
}

fn machine(options: &Options, prepared: &Prepared, disk: Option<&Attached>) -> Machine {
    let seconds = options.timeout.unwrap_or(prepared.timeout);
    let (mut limit, mut qemu_options) = (Duration::from_secs(seconds), Vec::new());
    if options.gdb {
        limit = NO_LIMIT;
        qemu_options =
            ["-S".to_owned(), "-gdb".into(), format!("tcp::{}", options.gdb_port)].into();
    }
    qemu_options.extend(disk.into_iter().flat_map(Attached::qemu_options));
    let counted = options.icount || options.trace.is_some();
    let devices = prepared.devices.map(|ids| format!("devices={ids}"));
    let words = options.emulator.split_whitespace().map(str::to_owned);
    Machine {
        smp: options.smp,
        td_memory: options.memory.unwrap_or(prepared.memory),
        options: devices.into_iter().chain(words).collect(),
        host: options.host.clone(),
        log: options.log.clone(),
        clock: if counted { Clock::Instructions } else { Clock::Host },
        trace: options.trace.is_some(),
        limit,
        qemu_options,
        tables: None,
        console: if options.verbose { Console::Live } else { Console::Quiet },
    }
}
