// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stand that a scenario runs on: programs built once, an image and a machine for each run.

use core::cell::Cell;
use core::fmt::Write;
use core::time::Duration;
use std::fs;
use std::sync::OnceLock;

use libtest_mimic::{Failed, Trial};
use xtask::builds::Builds;
use xtask::debian_kernel::{self, Series};
use xtask::disk::Disk;
use xtask::guest::Guest;
use xtask::host_tables::HostTables;
use xtask::image::Image;
use xtask::initramfs;
use xtask::machine::{Clock, Exit, Machine, Outcome, Scratch};
use xtask::qemu::Qemu;

/// How a scenario ends: well, or with a message for a person.
pub(crate) type Verdict = Result<(), String>;

/// How long a machine may take; only one that hangs needs it.
const LIMIT: Duration = Duration::from_secs(180);

/// The same for guests that take longer on a machine with other things to do.
const FOREIGN_LIMIT: Duration = Duration::from_secs(360);

/// Lines of the transcript, and rows of the report, that a failure shows: enough for a kernel's last words and ours.
const SHOWN: usize = 150;

/// What the host around the TD speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    /// The GHCI, and nothing else.
    Ghci,
    /// What Hyper-V speaks, too.
    HyperV,
}

thread_local! {
    /// The host of the scenarios that this thread lists, or of the one that it runs.
    static HOST: Cell<Host> = const { Cell::new(Host::Ghci) };
}

/// What all scenarios share.
struct Shared {
    builds: Builds,
    qemu: Qemu,
}

/// A run about to be made.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    machine: Machine,
    paravisor: String,
    guest: String,
    spoil: fn(&mut Vec<u8>),
    subject: Subject,
    disk: Option<&'static str>,
}

/// What the TD starts.
#[derive(Clone, Debug)]
enum Subject {
    /// The probe in the paravisor's place; there is no guest.
    Probe,
    /// The paravisor with our own guest.
    Relay,
    /// The paravisor with a guest made of other files.
    Guest(Box<Guest>),
}

/// Leaves the function with a message unless a condition holds.
macro_rules! check {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use check;

/// Makes a line of the test report of a scenario.
pub(crate) fn scenario(
    name: impl Into<String>,
    run: impl FnOnce() -> Verdict + Send + 'static,
) -> Trial {
    let (name, host) = (name.into(), HOST.get());
    let name = if host == Host::HyperV { format!("hyperv::{name}") } else { name };
    Trial::test(name, move || {
        HOST.set(host);
        run().map_err(Failed::from)
    })
}

/// The scenarios of a theme once more, on a host of Hyper-V's kind.
pub(crate) fn on_hyper_v(theme: fn() -> Vec<Trial>) -> Vec<Trial> {
    HOST.set(Host::HyperV);
    let trials = theme();
    HOST.set(Host::Ghci);
    trials
}

/// Builds programs and finds QEMU when the first scenario needs them.
fn shared() -> Result<&'static Shared, String> {
    static SHARED: OnceLock<Option<Shared>> = OnceLock::new();
    let mut failure = None;
    let provide = || -> xtask::Result<Shared> {
        Ok(Shared { builds: Builds::make()?, qemu: Qemu::find(None)? })
    };
    let shared = SHARED.get_or_init(|| provide().map_err(|why| failure = Some(why)).ok());
    shared.as_ref().ok_or_else(|| match failure {
        Some(why) => why.to_string(),
        None => "not run: the programs or QEMU are missing, as said above".to_owned(),
    })
}

/// The ELF file of our own guest.
pub(crate) fn relay_file() -> Result<Vec<u8>, String> {
    let path = &shared()?.builds.guest;
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl Stand {
    /// A machine, TD and guest with `cpus` CPUs each; `guest` says what the guest does.
    pub(crate) fn new(cpus: u32, guest: &str) -> Self {
        let stand = Self {
            machine: Machine { smp: cpus, limit: LIMIT, ..Machine::default() },
            paravisor: format!("log=info cpus={cpus}"),
            guest: format!("{guest} cpus={cpus}"),
            spoil: |_| {},
            subject: Subject::Relay,
            disk: None,
        };
        match HOST.get() {
            Host::Ghci => stand,
            Host::HyperV => stand.hyper_v(),
        }
    }

    /// A machine and a TD with `cpus` CPUs each, with a Debian kernel and our own initial RAM disk,
    /// which runs `script` if there is one; `words` go behind those that Linux needs.
    pub(crate) fn linux(
        cpus: u32,
        series: Series,
        words: &str,
        script: Option<&[u8]>,
    ) -> Result<Self, String> {
        let guest = || -> xtask::Result<Guest> {
            Guest::linux(&debian_kernel::kernel(series)?.path, Some(initramfs::build(script)?))
        };
        let guest = guest().map_err(|failure| failure.to_string())?;
        let line = format!("{} {words}", initramfs::COMMAND_LINE);
        let stand = Self::of_guest(cpus, guest, line.trim_end());
        // Linux has no drivers for the devices of our own guest.
        Ok(Self { machine: Machine { td_memory: 512, ..stand.machine.clone() }, ..stand }
            .emulator_option("devices="))
    }

    /// A machine and a TD with `cpus` CPUs each, with a guest made of other files.
    pub(crate) fn of_guest(cpus: u32, guest: Guest, line: &str) -> Self {
        let stand = Self::new(cpus, "");
        let machine = Machine { limit: FOREIGN_LIMIT, ..stand.machine.clone() };
        let subject = Subject::Guest(Box::new(guest));
        Self { machine, guest: line.to_owned(), subject, ..stand }
    }

    /// Gives the guest an NVMe disk, with more properties for QEMU; whether it read and wrote it as
    /// it should is checked after a run that ends well.
    pub(crate) fn disk(mut self, properties: &'static str) -> Self {
        self.disk = Some(properties);
        self.emulator_option("devices=1b36:0010")
    }

    /// Gives the TD so many MiB of memory.
    pub(crate) fn memory(mut self, mib: u32) -> Self {
        self.machine.td_memory = mib;
        self
    }

    /// Gives the emulator another word.
    pub(crate) fn emulator_option(mut self, word: &str) -> Self {
        self.machine.options.push(word.to_owned());
        self
    }

    /// Puts a host of Hyper-V's kind around the TD.
    pub(crate) fn hyper_v(mut self) -> Self {
        self.machine.host = "hyperv".to_owned();
        self
    }

    /// Gives QEMU more words.
    pub(crate) fn qemu_options(mut self, words: &[&str]) -> Self {
        self.machine.qemu_options.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Gives the paravisor another word.
    pub(crate) fn paravisor_option(mut self, word: &str) -> Self {
        self.paravisor = format!("{} {word}", self.paravisor);
        self
    }

    /// Shows the TD other ACPI tables than those of the machine.
    pub(crate) fn tables(mut self, tables: HostTables) -> Self {
        self.machine.tables = Some(tables);
        self
    }

    /// Counts instructions instead of time.
    pub(crate) fn by_instructions(mut self) -> Self {
        self.machine.clock = Clock::Instructions;
        self
    }

    /// Changes the image before it is used.
    pub(crate) fn spoil(mut self, spoil: fn(&mut Vec<u8>)) -> Self {
        self.spoil = spoil;
        self
    }

    /// Starts the probe in the paravisor's place; there is no guest.
    pub(crate) fn probe(mut self) -> Self {
        self.subject = Subject::Probe;
        self
    }

    /// Runs it and hands what it left behind to `judge`.
    pub(crate) fn run(&self, judge: impl FnOnce(&Outcome) -> Verdict) -> Verdict {
        let outcome = self.outcome()?;
        judge(&outcome).map_err(|why| format!("{why}\n{}", self.epilogue(&outcome)))
    }

    /// Runs it.
    pub(crate) fn outcome(&self) -> Result<Outcome, String> {
        let shared = shared()?;
        self.attempt(shared).map_err(|failure| failure.to_string())
    }

    /// The image that it runs.
    pub(crate) fn image(&self) -> Result<Image, String> {
        self.assemble(&shared()?.builds).map_err(|failure| failure.to_string())
    }

    fn assemble(&self, builds: &Builds) -> xtask::Result<Image> {
        let guest = match &self.subject {
            Subject::Probe => None,
            Subject::Relay => Some(Guest::relay(builds)?),
            Subject::Guest(guest) => Some(Guest::clone(guest)),
        };
        let mut image = match guest {
            None => Image::of_probe(builds)?,
            Some(guest) => Image::assemble(builds, &self.paravisor, &guest, &self.guest)?,
        };
        (self.spoil)(&mut image.bytes);
        Ok(image)
    }

    fn attempt(&self, Shared { builds, qemu }: &Shared) -> xtask::Result<Outcome> {
        let image = self.assemble(builds)?;
        let Some(properties) = self.disk else { return self.machine.run(qemu, builds, &image) };
        let directory = Scratch::new()?;
        let disk = Disk::create(directory.path())?;
        let mut machine = self.machine.clone();
        machine.qemu_options.extend(disk.qemu_options(properties));
        let outcome = machine.run(qemu, builds, &image)?;
        if outcome.exit == Exit::SUCCESS {
            disk.check(&outcome)?;
        }
        Ok(outcome)
    }

    /// What a person wants to see of a run that failed.
    fn epilogue(&self, outcome: &Outcome) -> String {
        let skipped = outcome.console.len().saturating_sub(SHOWN);
        let mut text = format!("guest: {}\nexit: {}\n", self.guest, outcome.exit);
        for line in outcome.console.iter().skip(skipped) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {line}");
        }
        let (rows, cpus) = (&outcome.report.rows, &outcome.report.cpus);
        let _ = writeln!(text, "  {} rows in sum: {:?}", rows.len(), outcome.report.total());
        for row in rows.iter().take(SHOWN) {
            let _ = writeln!(text, "  {row:?}");
        }
        for cpu in cpus {
            let _ = writeln!(text, "  {cpu:?}");
        }
        let _ = writeln!(text, "  {:?}", outcome.report.end);
        let _ = writeln!(text, "  peer: {:?}", outcome.peer);
        text
    }
}

/// Checks that a run ended as it must.
pub(crate) fn ended(outcome: &Outcome, exit: &Exit) -> Verdict {
    if outcome.exit == *exit {
        Ok(())
    } else {
        Err(format!("wanted the end \"{exit}\" but got \"{}\"", outcome.exit))
    }
}

/// Checks that some line of the transcript begins with `prefix` and contains `part`.
pub(crate) fn said(outcome: &Outcome, prefix: &str, part: &str) -> Verdict {
    let part = part.to_lowercase();
    let fits = |line: &String| line.starts_with(prefix) && line.to_lowercase().contains(&part);
    if outcome.console.iter().any(fits) {
        Ok(())
    } else {
        Err(format!("no line \"{prefix}…{part}…\""))
    }
}
