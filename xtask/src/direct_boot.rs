// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Linux kernel directly on QEMU: the same program, CPU count, memory, kernel, initramfs and
//! command line as under the emulator, to compare with.
//!
//! Time begins when the firmware says that it starts the program that loads the kernel, which takes
//! a few milliseconds for that, and is taken on this machine when a line arrives.

use core::time::Duration;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Instant,
};

use crate::{Failure, Result, failure::Context, machine::Scratch, qemu::Qemu, tool};

/// What the firmware says last, followed by an address.
const HAND_OVER: &str = "Booting from ";

/// A boot about to be made.
#[derive(Clone, Debug)]
pub struct DirectBoot<'a> {
    /// The bzImage.
    pub kernel: &'a Path,
    /// The initramfs.
    pub initrd: &'a [u8],
    /// The kernel's command line.
    pub command_line: &'a str,
    /// CPUs.
    pub smp: u32,
    /// MiB of memory.
    pub memory: u32,
    /// What QEMU calls the machine.
    pub machine: &'a str,
    /// Devices beside those of the machine, as QEMU's options say it.
    pub devices: &'a [&'a str],
    /// How long it may take.
    pub limit: Duration,
}

/// A boot that is over.
#[derive(Clone, Debug, Default)]
pub struct DirectOutcome {
    /// The console's lines, each with the time since the kernel was started.
    pub lines: Vec<(Duration, String)>,
    /// What was wrong, if it did not end by itself.
    pub failure: Option<String>,
}

/// Lines and when they arrived.
type Stamped = Vec<(Instant, String)>;

impl DirectBoot<'_> {
    /// Boots it and waits for its end.
    ///
    /// # Errors
    ///
    /// If QEMU cannot be started, or does not tell when it started the kernel.
    pub fn run(&self, qemu: &Qemu) -> Result<DirectOutcome> {
        let scratch = Scratch::new()?;
        let initrd = scratch.path().join("initrd");
        fs::write(&initrd, self.initrd).context(|| "cannot write the initramfs".to_owned())?;
        let mut child = self.start(qemu, &initrd)?;
        // Both end with QEMU.
        let console = stamp(child.stdout.take());
        let firmware = stamp(child.stderr.take());
        let status = tool::wait(&mut child, self.limit).context(|| "cannot wait".to_owned())?;
        let (console, firmware) = (finish(console), finish(firmware));
        let said = firmware.iter().map(|(_, line)| line.as_str());
        let failure = match status {
            None => Some("still running at its time limit".to_owned()),
            Some(status) if status.success() => None,
            Some(status) => {
                let said: Vec<_> = said.filter(|line| line.contains("qemu")).collect();
                Some(format!("QEMU ended by itself: {status} {}", said.join(" ")))
            }
        };
        let start = firmware.iter().rev().find(|(_, line)| line.starts_with(HAND_OVER));
        let Some((start, _)) = start else {
            let failure = failure.unwrap_or_else(|| "the firmware never started it".to_owned());
            return Err(Failure::new(format!("{}: {failure}", self.kernel.display())));
        };
        let lines = console
            .into_iter()
            .map(|(at, line)| (at.saturating_duration_since(*start), line))
            .collect();
        Ok(DirectOutcome { lines, failure })
    }

    fn start(&self, qemu: &Qemu, initrd: &Path) -> Result<Child> {
        let Self { smp, memory, .. } = self;
        Command::new(&qemu.program)
            .args(["-accel", "tcg", "-display", "none", "-nodefaults", "-no-reboot"])
            .args(["-M", self.machine])
            .args(self.devices.iter().flat_map(|device| ["-device", device]))
            .args(["-m", &memory.to_string(), "-smp", &smp.to_string(), "-cpu", qemu.cpu()])
            .args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"])
            .args(["-chardev", "file,id=firmware,path=/dev/stderr"])
            .args(["-device", "isa-debugcon,iobase=0x402,chardev=firmware"])
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(initrd)
            .args(["-append", self.command_line])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(|| format!("cannot start {}", qemu.program.display()))
    }
}

impl DirectOutcome {
    /// Returns when the first line arrived that begins with `prefix`.
    #[must_use]
    pub fn time_of(&self, prefix: &str) -> Option<Duration> {
        self.lines.iter().find(|(_, line)| line.starts_with(prefix)).map(|(at, _)| *at)
    }
}

/// Notes when each line of `stream` arrives.
fn stamp(stream: Option<impl Read + Send + 'static>) -> Option<JoinHandle<Stamped>> {
    let mut stream = BufReader::new(stream?);
    Some(thread::spawn(move || {
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            lines.push((Instant::now(), text));
            line.clear();
        }
        lines
    }))
}

fn finish(reader: Option<JoinHandle<Stamped>>) -> Stamped {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::{env, fs, os::unix::fs::PermissionsExt, path::Path, process};

    use super::{DirectBoot, DirectOutcome};
    use crate::{
        Result,
        qemu::{Qemu, Version},
    };

    /// Runs a script in QEMU's place.
    fn run(name: &str, script: &str) -> Result<DirectOutcome> {
        let program = env::temp_dir().join(format!("lychgate-direct-{name}-{}", process::id()));
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let qemu = Qemu { program: program.clone(), version: Version { major: 10, minor: 0 } };
        let boot = DirectBoot {
            kernel: Path::new("/vmlinuz"),
            initrd: b"070701",
            command_line: "quiet",
            smp: 2,
            memory: 512,
            machine: "q35",
            devices: &[],
            limit: Duration::from_secs(60),
        };
        let outcome = boot.run(&qemu);
        fs::remove_file(&program).unwrap();
        outcome
    }

    #[test]
    fn time_runs_from_the_hand_over_to_the_line() {
        let script = "echo 'Booting from c000:0054' >&2; sleep 0.05; echo 'result boot=ok'";
        let outcome = run("good", script).unwrap();
        assert_eq!(outcome.failure, None);
        assert!(outcome.time_of("result boot=").unwrap() >= Duration::from_millis(50));
        assert_eq!(outcome.time_of("result nvme"), None);
    }

    #[test]
    fn a_boot_that_fails_says_why() {
        let outcome = run("bad", "echo 'Booting from c000:0054' >&2; exit 1").unwrap();
        assert!(outcome.failure.unwrap().contains("exit status: 1"));
        let early = run("early", "echo 'qemu: no such CPU' >&2; exit 1").unwrap_err();
        assert!(early.to_string().contains("no such CPU"), "{early}");
    }
}
