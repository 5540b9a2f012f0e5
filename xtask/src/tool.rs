// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that are started: each has a time limit, and its output is shown when it fails.
//!
//! Waiting is done on a process descriptor, so that a program that ends is seen at once, and one
//! that does not is killed at its limit with everything that it started: cargo leaves the tests that
//! it runs behind, and they would go on in a tree that may no longer be there.

use core::time::Duration;
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Seek},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

use crate::{Failure, Result, failure::Context};

/// A program about to be started.
#[derive(Debug)]
pub(crate) struct Tool {
    command: Command,
    limit: Duration,
}

/// What a program printed.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Tool {
    /// Prepares `program`, which has `limit` to do its work.
    pub(crate) fn new(program: impl AsRef<OsStr>, limit: Duration) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command, limit }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub(crate) fn env_remove(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Runs it and returns what it printed, whether it succeeded or not.
    pub(crate) fn output(mut self) -> Result<Output> {
        let name = self.name();
        let (mut out, mut err) = (memory_file(&name)?, memory_file(&name)?);
        let handle = |file: &File| file.try_clone().context(|| name.clone());
        self.command.stdout(handle(&out)?).stderr(handle(&err)?);
        let status = self.status()?;
        let text = |file: &mut File| -> Result<String> {
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut bytes)).context(|| name.clone())?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (stdout, stderr) = (text(&mut out)?, text(&mut err)?);
        status
            .map(|status| Output { status, stdout: stdout.clone(), stderr: stderr.clone() })
            .ok_or_else(|| self.timed_out(&format!("{stdout}{stderr}")))
    }

    /// Runs it and returns its standard output; if it fails, all of its output is in the failure.
    pub(crate) fn stdout(self) -> Result<String> {
        let shown = self.shown();
        let Output { status, stdout, stderr } = self.output()?;
        if status.success() {
            return Ok(stdout);
        }
        Err(Failure::new(format!("{stdout}{stderr}{status} of: {shown}")))
    }

    /// Runs it with its output going where ours goes.
    pub(crate) fn visibly(mut self) -> Result<()> {
        match self.status()? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Failure::new(format!("{status} of: {}", self.shown()))),
            None => Err(self.timed_out("")),
        }
    }

    fn status(&mut self) -> Result<Option<ExitStatus>> {
        let name = self.name();
        let mut child = self.command.spawn().context(|| format!("cannot start {name}"))?;
        wait(&mut child, self.limit).context(|| format!("cannot wait for {name}"))
    }

    fn timed_out(&self, output: &str) -> Failure {
        let seconds = self.limit.as_secs();
        Failure::new(format!("{output}killed after {seconds} s: {}", self.shown()))
    }

    /// The command line, for a person.
    fn shown(&self) -> String {
        let arguments = self.command.get_args().map(OsStr::to_string_lossy);
        [self.name().into()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
    }

    fn name(&self) -> String {
        self.command.get_program().to_string_lossy().into_owned()
    }
}

/// Waits for `child`, at most for `limit`; then kills it and what it started, and returns nothing.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let descriptor = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let start = Instant::now();
    loop {
        let left = limit.saturating_sub(start.elapsed());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut events = [PollFd::new(&descriptor, PollFlags::IN)];
        match poll(&mut events, Some(&timeout)) {
            Ok(0) => {
                kill_family(Pid::from_child(child));
                child.wait()?;
                return Ok(None);
            }
            Ok(_) => return child.wait().map(Some),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Kills a process that was not waited for yet, and its descendants.
///
/// It is stopped first: then it starts nothing more, and as it waits for no child either, no number
/// in its list of children can become another process's.
fn kill_family(process: Pid) {
    // What is gone already needs no signal.
    let _ = kill_process(process, Signal::STOP);
    children(process).into_iter().for_each(kill_family);
    let _ = kill_process(process, Signal::KILL);
}

fn children(process: Pid) -> Vec<Pid> {
    let process = process.as_raw_nonzero();
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let lists = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("children")));
    let numbers = |list: String| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>();
    lists.flatten().flat_map(numbers).filter_map(Pid::from_raw).collect()
}

fn memory_file(name: &str) -> Result<File> {
    let descriptor = memfd_create(name, MemfdFlags::CLOEXEC);
    descriptor.map(File::from).context(|| format!("no memory for the output of {name}"))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::{io, process::Command};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::{Tool, wait};

    fn shell(script: &str, limit: Duration) -> Tool {
        Tool::new("sh", limit).args(["-c", script])
    }

    #[test]
    fn output_is_returned_and_shown_on_failure() {
        let limit = Duration::from_secs(60);
        assert_eq!(shell("echo out; echo err >&2", limit).stdout().unwrap(), "out\n");
        let failure = shell("echo out; echo err >&2; exit 3", limit).stdout().unwrap_err();
        let text = failure.to_string();
        assert!(text.starts_with("out\nerr\nexit status: 3 of: sh -c "), "{text}");
    }

    #[test]
    fn a_program_that_hangs_is_killed_at_its_limit() {
        let hung = shell("echo begun; exec sleep 600", Duration::from_millis(200));
        let failure = hung.stdout().unwrap_err().to_string();
        assert!(failure.contains("killed after"), "{failure}");
    }

    #[test]
    fn what_a_hung_program_started_is_killed_with_it() {
        let (reader, writer) = io::pipe().unwrap();
        let limit = Duration::from_millis(500);
        let mut command = Command::new("sh");
        command.args(["-c", "(sleep 600; true) & sleep 600; true"]).stdout(writer);
        let mut child = command.spawn().unwrap();
        // The command keeps a copy of the pipe's end.
        drop(command);
        assert_eq!(wait(&mut child, limit).unwrap(), None);
        // The pipe hangs up when nobody is left who could write.
        let mut events = [PollFd::new(&reader, PollFlags::IN)];
        let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
        assert_eq!(poll(&mut events, Some(&patience)), Ok(1), "something still holds the pipe");
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let failure = Tool::new("no-such-program", Duration::ZERO).stdout().unwrap_err();
        assert!(failure.to_string().contains("no-such-program"), "{failure}");
    }
}
