// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a run ended, and whether that is good.

use core::{fmt, time::Duration};
use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use crate::{
    guest_counts,
    report::{Report, Row},
};

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// Every line of the console.
    pub console: Vec<String>,
    /// What the emulator reported.
    pub report: Report,
    /// How long it took.
    pub duration: Duration,
    /// What the doorbell's peer did.
    pub peer: ivshmem_peer::Summary,
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The emulator ended it with this value.
    Value(u8),
    /// It was killed at its limit.
    TimedOut,
    /// QEMU ended by itself, and this is what it said.
    Qemu(String),
}

impl Exit {
    /// The guest said success.
    pub const SUCCESS: Self = Self::Value(0x10);
    /// The guest said failure.
    pub const FAILURE: Self = Self::Value(0x11);
    /// The emulator could not use its command line or image.
    pub const BAD_START: Self = Self::Value(0x12);
    /// The TD died.
    pub const TD_DIED: Self = Self::Value(0x13);
    /// The TD needed something that is not emulated.
    pub const NOT_EMULATED: Self = Self::Value(0x14);
    /// The emulator itself failed.
    pub const EMULATOR_FAILED: Self = Self::Value(0x15);

    /// Decodes what QEMU ended with: its exit device makes `value << 1 | 1` of a value.
    pub(super) fn new(status: Option<ExitStatus>, diagnostics: String) -> Self {
        let Some(status) = status else { return Self::TimedOut };
        match status.code().map(u8::try_from) {
            // 1 is also how QEMU fails, and no value of the emulator's.
            Some(Ok(code)) if code > 1 && code & 1 == 1 => Self::Value(code >> 1),
            _ => Self::Qemu(match status.signal() {
                Some(signal) => format!("killed by signal {signal}\n{diagnostics}"),
                None => format!("{status}\n{diagnostics}"),
            }),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            &Self::SUCCESS => write!(f, "the guest reports success"),
            &Self::FAILURE => write!(f, "the guest reports failure"),
            &Self::BAD_START => write!(f, "the emulator cannot use its options or the image"),
            &Self::TD_DIED => write!(f, "the TD died"),
            &Self::NOT_EMULATED => write!(f, "the TD needs something that is not emulated"),
            &Self::EMULATOR_FAILED => write!(f, "the emulator failed"),
            Self::Value(value) => write!(f, "the machine ended with the unknown value {value:#x}"),
            Self::TimedOut => write!(f, "the machine was still running at its time limit"),
            Self::Qemu(text) => write!(f, "QEMU ended by itself: {}", text.trim()),
        }
    }
}

impl Outcome {
    /// Returns the verdict in one line: whether the guest succeeded, nothing was lost, and no
    /// interrupt that was relayed took a detour by the host.
    ///
    /// # Errors
    ///
    /// The verdict, if it is bad.
    pub fn judge(&self) -> Result<String, String> {
        if self.exit != Exit::SUCCESS {
            let message = self.report.end.as_ref().map(|end| end.message.as_str());
            let message = message.filter(|message| !message.is_empty());
            let because = message.map(|message| format!(": {message}")).unwrap_or_default();
            return Err(format!("FAILED: {}{because}", self.exit));
        }
        if self.report.end.is_none() {
            return Err("FAILED: the report has no end".to_owned());
        }
        let untold: u64 = self.report.cpus.iter().map(|cpu| cpu.rows_untold).sum();
        if untold > 0 {
            return Err(format!("FAILED: the report leaves {untold} ways of interrupts out"));
        }
        let rows = &self.report.rows;
        // Row by row: what one lost must not be made up by what another has too many.
        let lost: u64 = rows.iter().map(|row| row.lost.unsigned_abs()).sum();
        let Row { relayed, merged, host_exits, tdvmcalls, interruptions, .. } = self.report.total();
        if lost + host_exits + tdvmcalls > 0 {
            return Err(format!(
                "FAILED: {lost} interrupts lost, {host_exits} exits and {tdvmcalls} calls to the \
                 host on the relay path"
            ));
        }
        let guest = match guest_counts::agree(&self.report) {
            Err(why) => return Err(format!("FAILED: {why}")),
            Ok(_) if self.report.guest_counts.is_empty() => String::new(),
            Ok(0) => "; the guest counted the same".to_owned(),
            Ok(busy) => {
                format!("; the guest counted the same but for {busy} that found their handler busy")
            }
        };
        let passes: u64 = self.report.cpus.iter().map(|cpu| cpu.l2_exits_pending_interrupt).sum();
        let paths = if rows.len() == 1 { "path" } else { "paths" };
        let meanwhile = match interruptions {
            0 => String::new(),
            n => format!(", but for {n} interrupts of the host's own that came meanwhile"),
        };
        let remote = match self.of_mode("remote") {
            (0, _) => String::new(),
            (n, kicks) => format!(", {n} of them by way of another CPU, which took {kicks} kicks"),
        };
        let (proxied, besides) = match self.of_mode("proxied") {
            (0, _) => (String::new(), ""),
            (n, kicks) => (
                format!(", {n} of them by messages of the host, for which it called {kicks} times"),
                " besides",
            ),
        };
        Ok(format!(
            "PASSED: {relayed} interrupts relayed on {} {paths}{remote}{proxied}, {merged} merged, none \
             lost; {passes} times a running L2 was stopped for them, with no exit and no call to the \
             host{besides}{meanwhile}{guest}",
            rows.len()
        ))
    }

    /// How many ways have a mode, and the kicks that they took.
    fn of_mode(&self, mode: &str) -> (usize, u64) {
        let rows = || self.report.rows.iter().filter(|row| row.mode == mode);
        (rows().count(), rows().map(|row| row.kicks).sum())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::{Exit, Outcome};
    use crate::report::{Cpu, End, Report, Row};

    fn outcome(exit: Exit, rows: &[Row]) -> Outcome {
        Outcome {
            exit,
            console: Vec::new(),
            report: Report { rows: rows.to_vec(), end: Some(End::default()), ..Report::default() },
            duration: Duration::ZERO,
            peer: ivshmem_peer::Summary::default(),
        }
    }

    #[test]
    fn the_exit_device_tells_values_from_failures_of_qemu() {
        let exit = |raw| Exit::new(Some(ExitStatus::from_raw(raw)), String::new());
        assert_eq!(exit(33 << 8), Exit::SUCCESS);
        assert_eq!(exit(35 << 8), Exit::FAILURE);
        assert!(matches!(exit(0), Exit::Qemu(_)));
        assert!(matches!(exit(1 << 8), Exit::Qemu(_)));
        assert!(matches!(exit(9), Exit::Qemu(text) if text.contains("signal 9")));
        assert_eq!(Exit::new(None, String::new()), Exit::TimedOut);
    }

    #[test]
    fn success_needs_the_guest_and_the_figures() {
        let good = Row { messages: 5, relayed: 4, merged: 1, ..Row::default() };
        let ended = |exit| outcome(exit, core::slice::from_ref(&good)).judge();
        assert!(ended(Exit::SUCCESS).is_ok());
        assert!(ended(Exit::FAILURE).is_err());
        assert!(ended(Exit::TimedOut).is_err());
        for bad in [
            Row { lost: 1, ..good.clone() },
            Row { host_exits: 1, ..good.clone() },
            Row { tdvmcalls: 1, ..good.clone() },
        ] {
            assert!(outcome(Exit::SUCCESS, &[good.clone(), bad]).judge().is_err());
        }
        let mut partial = outcome(Exit::SUCCESS, core::slice::from_ref(&good));
        partial.report.cpus = vec![Cpu { rows_untold: 1, ..Cpu::default() }];
        assert!(partial.judge().is_err());
        let mut cut_off = outcome(Exit::SUCCESS, &[good]);
        cut_off.report.end = None;
        assert!(cut_off.judge().is_err());
    }

    #[test]
    fn a_kick_is_no_detour_but_is_told() {
        let row = Row { mode: "remote".to_owned(), kicks: 7, ..Row::default() };
        let verdict = outcome(Exit::SUCCESS, &[row]).judge().unwrap();
        assert!(
            verdict.contains("1 of them by way of another CPU, which took 7 kicks"),
            "{verdict}"
        );
    }

    #[test]
    fn calls_of_the_host_are_told_apart_from_kicks() {
        let row = |mode: &str, kicks| Row { mode: mode.to_owned(), kicks, ..Row::default() };
        let rows = [row("remote", 7), row("proxied", 9), row("proxied", 2)];
        let verdict = outcome(Exit::SUCCESS, &rows).judge().unwrap();
        for part in [
            "1 of them by way of another CPU, which took 7 kicks",
            "2 of them by messages of the host, for which it called 11 times",
            "no call to the host besides",
        ] {
            assert!(verdict.contains(part), "{verdict}");
        }
    }

    #[test]
    fn one_loss_is_not_made_up_by_another_ways_surplus() {
        let row = |lost| Row { lost, ..Row::default() };
        assert!(outcome(Exit::SUCCESS, &[row(1), row(-1)]).judge().is_err());
    }
}
