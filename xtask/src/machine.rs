// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run: a machine of its own, the peer of its doorbell device, what it printed, how it ended.
//!
//! Nothing is judged by time. A run ends when the guest ends it or the emulator gives up; the limit
//! is only there for what hangs, and ends this machine and nothing else.

/// The words that start it.
mod command_line;

/// A directory that is gone afterwards.
mod scratch;

/// The console as it grows.
mod console;

/// How it ended, and whether that is good.
mod outcome;

use core::time::Duration;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use ivshmem_peer::Peer;

use self::command_line::Files;
pub use self::outcome::{Exit, Outcome};
pub use self::scratch::Scratch;
use crate::{
    Result,
    builds::Builds,
    failure::Context,
    host_tables::HostTables,
    image::{Image, RelayTable},
    qemu::Qemu,
    report::Report,
    tool,
};

/// Interrupts of the doorbell device.
pub const DOORBELLS: u16 = 48;

/// What is to be run, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// CPUs.
    pub smp: u32,
    /// MiB of the TD.
    pub td_memory: u32,
    /// What the emulated host speaks.
    pub host: String,
    /// How much the emulator says.
    pub log: String,
    /// What drives the machine's clocks.
    pub clock: Clock,
    /// Whether events are reported.
    pub trace: bool,
    /// How long it may take.
    pub limit: Duration,
    /// More `key=value` words for the emulator.
    pub options: Vec<String>,
    /// More words for QEMU.
    pub qemu_options: Vec<String>,
    /// ACPI tables in place of the machine's own.
    pub tables: Option<HostTables>,
    /// Whether the console is shown while it runs.
    pub console: Console,
}

/// What drives the machine's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The host's time.
    Host,
    /// The number of instructions, which makes a run repeatable to the bit.
    Instructions,
}

/// Whether the console is shown while the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// It is only kept.
    Quiet,
    /// It is shown on standard error, too.
    Live,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            smp: 1,
            td_memory: 128,
            host: "ghci".to_owned(),
            log: "info".to_owned(),
            clock: Clock::Host,
            trace: false,
            limit: Duration::from_secs(60),
            options: Vec::new(),
            qemu_options: Vec::new(),
            tables: None,
            console: Console::Quiet,
        }
    }
}

impl Machine {
    /// Runs `image` in a machine with files and a peer of its own.
    ///
    /// # Errors
    ///
    /// If the machine cannot be started or its report not be read. That it ends badly is no error
    /// but an [`Outcome`].
    pub fn run(&self, qemu: &Qemu, builds: &Builds, image: &Image) -> Result<Outcome> {
        self.run_emulator(qemu, &builds.emulator, &image.bytes, image.relay_table)
    }

    pub(crate) fn run_emulator(
        &self,
        qemu: &Qemu,
        emulator: &Path,
        image: &[u8],
        relay_table: Option<RelayTable>,
    ) -> Result<Outcome> {
        let scratch = Scratch::new()?;
        let files = Files::new(scratch.path(), emulator);
        fs::write(&files.image, image).context(|| "cannot write the image".to_owned())?;
        fs::write(&files.console, "").context(|| "cannot write the console".to_owned())?;
        if let Some(tables) = &self.tables {
            tables.write(scratch.path())?;
        }
        let peer = Peer::start(&files.bell, DOORBELLS)
            .context(|| "cannot start the doorbell's peer".to_owned())?;
        let diagnostics = fs::File::create(&files.diagnostics)
            .context(|| "cannot write QEMU's diagnostics".to_owned())?;
        let start = Instant::now();
        let mut child = Command::new(&qemu.program)
            .args(command_line::arguments(self, qemu, &files, relay_table))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(diagnostics)
            .spawn()
            .context(|| format!("cannot start {}", qemu.program.display()))?;
        let show = (self.console == Console::Live).then(|| console::Tail::start(&files.console));
        let status = tool::wait(&mut child, self.limit).context(|| "cannot wait".to_owned())?;
        let duration = start.elapsed();
        if let Some(tail) = show {
            tail.stop();
        }
        let peer = peer.stop();
        let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let console = read(&files.console).context(|| "cannot read the console".to_owned())?;
        let diagnostics = read(&files.diagnostics).unwrap_or_default();
        Ok(Outcome {
            exit: Exit::new(status, diagnostics),
            console: console.lines().map(str::to_owned).collect(),
            // A machine that died early has no report.
            report: Report::parse(&read(&files.report).unwrap_or_default())?,
            duration,
            peer,
        })
    }
}

#[cfg(test)]
mod tests;
