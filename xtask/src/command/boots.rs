// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask boots`: Linux kernels booted over and over, each boot beside one of the same kernel
//! directly on the same QEMU.
//!
//! A boot is good if the guest says that it reached user space with all its CPUs, turns the machine
//! off by itself, and what `run` judges holds. The exit status is 0 only if every boot was, and the
//! time from the first instruction to user space is at most three times the direct one: by the median
//! of the ratios of each pair, because what else a machine does changes from minute to minute.

/// Times of many boots.
mod series;

use core::time::Duration;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;

use self::series::{LIMIT, Row, table};
use crate::{
    Failure, Result,
    builds::Builds,
    debian_kernel::{self, Series},
    direct_boot::DirectBoot,
    guest::{Guest, read},
    image::Image,
    initramfs,
    machine::{Machine, Outcome},
    progress::say,
    qemu::Qemu,
};

/// What the guest says when it is in user space.
const ARRIVED: &str = "result boot=ok ";

/// Lines of the console that are shown after a failure.
const LAST_LINES: usize = 40;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Debian's kernels of these series, or files [default: 6.1,6.12]
    #[arg(long = "kernel", value_name = "6.1|6.12|PATH", value_delimiter = ',')]
    kernels: Vec<String>,
    /// An initramfs instead of the tests' own; its /init must say what theirs says
    #[arg(long, value_name = "PATH")]
    initrd: Option<PathBuf>,
    /// Numbers of CPUs
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2,4", value_parser = clap::value_parser!(u32).range(1..=16))]
    smp: Vec<u32>,
    /// Boots of each kernel with each number of CPUs
    #[arg(long, value_name = "N", default_value_t = 20)]
    count: u32,
    /// How CPUs but the first start; several take turns
    #[arg(long, value_name = "HOW", value_delimiter = ',', default_value = "mailbox,sipi", value_parser = ["mailbox", "sipi"])]
    wake: Vec<String>,
    /// What the kernel takes the paravisor for
    #[arg(long, value_name = "WHAT", value_parser = ["kvm", "hyperv"])]
    identity: Option<String>,
    /// Memory of the TD, and of the machine that boots directly
    #[arg(long, value_name = "MiB", default_value_t = 256)]
    memory: u32,
    /// More words for the kernel
    #[arg(long, value_name = "WORDS", default_value = "")]
    append: String,
    /// QEMU to use instead of $LYCHGATE_QEMU or the one in PATH
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
    /// Give a boot up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
}

/// The time to user space, or what went wrong.
type Boot = core::result::Result<Duration, String>;

/// What all boots have in common.
struct Stand<'a> {
    options: &'a Options,
    builds: Builds,
    qemu: Qemu,
    initrd: Vec<u8>,
    command_line: String,
}

/// A kernel and what to call it.
struct Kernel {
    name: String,
    path: PathBuf,
}

#[expect(clippy::print_stdout, reason = "the results, which are what the command is for")]
pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let kernels = kernels(&options.kernels)?;
    let initrd = match &options.initrd {
        Some(path) => read(path)?,
        None => initramfs::build(None)?,
    };
    let stand = Stand {
        options,
        builds: Builds::make()?,
        qemu: Qemu::find(options.qemu.as_deref())?,
        initrd,
        command_line: format!("{} {}", initramfs::COMMAND_LINE, options.append),
    };
    let mut rows = Vec::new();
    for kernel in &kernels {
        for &smp in &options.smp {
            rows.push(stand.boots(kernel, smp)?);
        }
    }
    print!("{}", table(&rows));
    let good = rows.iter().all(Row::good);
    let verdict = if good { "PASSED" } else { "FAILED" };
    let (boots, failed) =
        rows.iter().fold((0, 0), |sum, row| (sum.0 + row.boots, sum.1 + row.failed));
    println!("{verdict}: {boots} boots, {failed} failed; {LIMIT} times the direct boot is allowed");
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Provides the kernels that were named.
fn kernels(names: &[String]) -> Result<Vec<Kernel>> {
    let all = Series::ALL.map(|series| series.to_string());
    let names = if names.is_empty() { &all[..] } else { names };
    let kernel = |name: &String| match Series::from_str(name, false) {
        Ok(series) => Ok(Kernel { name: name.clone(), path: debian_kernel::kernel(series)?.path }),
        Err(_) if Path::new(name).is_file() => {
            let path = PathBuf::from(name);
            let name = path.file_name().map_or(name.as_str().into(), |name| name.to_string_lossy());
            Ok(Kernel { name: name.into_owned(), path: path.clone() })
        }
        Err(_) => Err(Failure::new(format!("{name} is neither 6.1, 6.12 nor a kernel's file"))),
    };
    names.iter().map(kernel).collect()
}

impl Stand<'_> {
    /// Boots one kernel with one number of CPUs as often as was asked for.
    fn boots(&self, kernel: &Kernel, smp: u32) -> Result<Row> {
        let guest = Guest::linux(&kernel.path, Some(self.initrd.clone()))?;
        let mut row = Row::new(&kernel.name, smp);
        let wakes = self.options.wake.iter().cycle();
        for (number, wake) in (1..=self.options.count).zip(wakes) {
            let direct = self.directly(kernel, smp)?;
            let ours = self.under_paravisor(&guest, smp, wake)?;
            let what = format!(
                "{} with {smp} CPU(s), {wake}, {number}/{}",
                kernel.name, self.options.count
            );
            let direct_said = direct.as_ref().map_or_else(Clone::clone, seconds);
            match &ours {
                Ok(time) => {
                    say("boot", &format!("{what}: {}, directly {direct_said}", seconds(time)));
                }
                Err(why) => say("boot", &format!("{what}: {why}")),
            }
            row.add(ours.ok(), direct.ok());
        }
        Ok(row)
    }

    /// Boots it directly.
    fn directly(&self, kernel: &Kernel, smp: u32) -> Result<Boot> {
        let boot = DirectBoot {
            kernel: &kernel.path,
            initrd: &self.initrd,
            command_line: &self.command_line,
            smp,
            memory: self.options.memory,
            machine: "q35",
            devices: &[],
            limit: Duration::from_secs(self.options.timeout),
        };
        let outcome = boot.run(&self.qemu)?;
        let time = outcome.time_of(ARRIVED);
        Ok(match (outcome.failure, time) {
            (None, Some(time)) => Ok(time),
            (Some(failure), _) => Err(failure),
            (None, None) => Err("did not reach user space".to_owned()),
        })
    }

    /// Boots it under the paravisor.
    fn under_paravisor(&self, guest: &Guest, smp: u32, wake: &str) -> Result<Boot> {
        let identity = self.options.identity.as_ref();
        let identity = identity.map(|identity| format!(" identity={identity}"));
        let paravisor = format!("log=info cpus={smp} wake={wake}{}", identity.unwrap_or_default());
        let image = Image::assemble(&self.builds, &paravisor, guest, &self.command_line)?;
        if self.options.memory < image.least_memory {
            return Err(Failure::new(format!(
                "{} MiB are too little for this guest: --memory {}",
                self.options.memory, image.least_memory
            )));
        }
        let machine = Machine {
            smp,
            td_memory: self.options.memory,
            limit: Duration::from_secs(self.options.timeout),
            // Linux has no drivers for the devices of our own guest.
            options: vec!["devices=".to_owned()],
            ..Machine::default()
        };
        let outcome = machine.run(&self.qemu, &self.builds, &image)?;
        let judged = judge(&outcome, smp);
        if judged.is_err() {
            let skipped = outcome.console.len().saturating_sub(LAST_LINES);
            outcome.console.iter().skip(skipped).for_each(|line| eprintln!("  {line}"));
        }
        Ok(judged)
    }
}

/// Returns the time to user space if all is as it should be.
fn judge(outcome: &Outcome, smp: u32) -> Boot {
    outcome.judge()?;
    let report = &outcome.report;
    let all = format!("cpus={smp}");
    let arrived = report.guest.iter().find(|line| line.starts_with(ARRIVED));
    match arrived {
        Some(line) if line.split_whitespace().any(|word| word == all) => {}
        Some(line) => return Err(format!("FAILED: not with {smp} CPUs: {line}")),
        None => return Err("FAILED: did not reach user space".to_owned()),
    }
    report.time_of(ARRIVED).ok_or_else(|| "FAILED: the report has no times".to_owned())
}

fn seconds(time: &Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
