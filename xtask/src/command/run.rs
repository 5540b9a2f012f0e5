// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask run`: the image in the emulator, and what became of each interrupt.
//!
//! Results go to standard output, everything else to standard error. The exit status is 0 only if
//! the guest said success, nothing was lost and no relayed interrupt took a detour by the host.

use core::time::Duration;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::json;

use super::image::Measurements;
use crate::{
    Result,
    builds::Builds,
    debugger,
    failure::Context,
    guest::Guest,
    image::{Image, RelayTable},
    machine::{Clock, Console, Machine, Outcome},
    progress::say,
    qemu::Qemu,
    table::table,
    trace,
};

/// The guest's command line unless another one is asked for.
pub(super) const GUEST_OPTIONS: &str = "scenario=demo";

/// The port that the debugger stub listens on unless another one is asked for.
const GDB_PORT: &str = "1234";

/// Time enough for a person with a debugger.
const NO_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Lines of the console that are shown after a failure.
const LAST_LINES: usize = 60;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Run this image instead of building one
    #[arg(long, value_name = "PATH", conflicts_with = "append")]
    image: Option<PathBuf>,
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    smp: u32,
    /// Memory of the TD
    #[arg(long, value_name = "MiB", default_value_t = 128)]
    memory: u32,
    /// QEMU to use instead of $LYCHGATE_QEMU or the one in PATH
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
    /// The emulated host
    #[arg(long, value_name = "KIND", default_value = "kvm", value_parser = ["kvm"])]
    host: String,
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
    /// The guest's command line
    #[arg(long, value_name = "WORDS", default_value = GUEST_OPTIONS)]
    append: String,
    /// How much emulator and paravisor say: off, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
    /// Show the console while it runs
    #[arg(long)]
    verbose: bool,
}

/// What is run: built now, or given.
struct Subject {
    builds: Builds,
    image: Vec<u8>,
    relay_table: Option<RelayTable>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let subject = subject(options)?;
    let qemu = Qemu::find(options.qemu.as_deref())?;
    let machine = machine(options);
    if options.gdb {
        let command = debugger::prepare(&subject.builds, options.gdb_port)?;
        say("gdb", &format!("waiting on port {}; in another terminal:", options.gdb_port));
        say("", &command);
    }
    let Subject { builds, image, relay_table } = &subject;
    say("run", &format!("{} with {} CPU(s)", qemu.program.display(), machine.smp));
    let outcome = machine.run_emulator(&qemu, &builds.emulator, image, *relay_table)?;
    if let Some(path) = &options.trace {
        write_trace(path, &outcome)?;
    }
    Ok(present(options, &outcome))
}

fn subject(options: &Options) -> Result<Subject> {
    let builds = Builds::make()?;
    let Some(path) = &options.image else {
        let paravisor = format!("log={}", options.log);
        let guest = Guest::relay(&builds)?;
        let image = Image::assemble(&builds, &paravisor, &guest, &options.append)?;
        let Image { bytes, relay_table, .. } = image;
        return Ok(Subject { builds, image: bytes, relay_table });
    };
    let image = fs::read(path).context(|| format!("cannot read {}", path.display()))?;
    tdvf::parse(&image).context(|| path.display().to_string())?;
    let relay_table = Measurements::relay_table_beside(path, &image);
    if relay_table.is_none() {
        say("image", "nothing beside it tells where its relay table is: no figures per vector");
    }
    Ok(Subject { builds, image, relay_table })
}

fn machine(options: &Options) -> Machine {
    let (mut limit, mut qemu_options) = (Duration::from_secs(options.timeout), Vec::new());
    if options.gdb {
        limit = NO_LIMIT;
        qemu_options =
            ["-S".to_owned(), "-gdb".into(), format!("tcp::{}", options.gdb_port)].into();
    }
    let counted = options.icount || options.trace.is_some();
    Machine {
        smp: options.smp,
        td_memory: options.memory,
        host: options.host.clone(),
        log: options.log.clone(),
        clock: if counted { Clock::Instructions } else { Clock::Host },
        trace: options.trace.is_some(),
        limit,
        qemu_options,
        console: if options.verbose { Console::Live } else { Console::Quiet },
        ..Machine::default()
    }
}

fn write_trace(path: &Path, outcome: &Outcome) -> Result<()> {
    let report = &outcome.report;
    fs::write(path, trace::convert(&report.trace))
        .context(|| format!("cannot write {}", path.display()))?;
    say("trace", &format!("{} events in {}", report.trace.len(), path.display()));
    let dropped: u64 = report.cpus.iter().map(|cpu| cpu.trace_dropped).sum();
    if dropped > 0 {
        say("trace", &format!("{dropped} earlier events did not fit"));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the results, which are what the command is for")]
fn present(options: &Options, outcome: &Outcome) -> ExitCode {
    let verdict = outcome.judge();
    if verdict.is_err() && !options.verbose {
        let skipped = outcome.console.len().saturating_sub(LAST_LINES);
        eprintln!("console{}:", if skipped > 0 { ", last lines" } else { "" });
        outcome.console.iter().skip(skipped).for_each(|line| eprintln!("  {line}"));
    }
    for error in &outcome.peer.errors {
        say("doorbell", error);
    }
    let seconds = outcome.duration.as_secs_f32();
    if options.json {
        println!("{:#}", document(outcome));
    } else {
        if !outcome.report.rows.is_empty() {
            print!("{}", table(&outcome.report));
        }
        let (Ok(line) | Err(line)) = &verdict;
        println!("{line} ({seconds:.1} s)");
    }
    if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn document(outcome: &Outcome) -> serde_json::Value {
    let verdict = outcome.judge();
    let total = outcome.report.total();
    json!({
        "passed": verdict.is_ok(),
        "verdict": verdict.unwrap_or_else(|verdict| verdict),
        "exit": outcome.exit.to_string(),
        "seconds": outcome.duration.as_secs_f64(),
        "rows": outcome.report.rows,
        "total": {
            "messages": total.messages, "relayed": total.relayed, "merged": total.merged,
            "lost": total.lost, "host_exits": total.host_exits, "tdvmcalls": total.tdvmcalls,
        },
        "cpus": outcome.report.cpus,
        "guest": outcome.report.guest,
        "end": outcome.report.end,
        "doorbell": {"rung": outcome.peer.rung, "errors": outcome.peer.errors},
    })
}
