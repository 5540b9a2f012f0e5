// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs of a program that stands in for QEMU.

use core::time::Duration;
use std::path::Path;

use super::{Exit, Machine, Outcome};
use crate::qemu::{Qemu, Version};

fn run(image: &str, limit: Duration) -> Outcome {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/machine/stand-in.sh");
    let qemu = Qemu { program, version: Version { major: 10, minor: 0 } };
    let machine = Machine { limit, ..Machine::default() };
    machine.run_emulator(&qemu, Path::new("/emulator"), image.as_bytes(), None).unwrap()
}

const PLENTY: Duration = Duration::from_secs(60);

#[test]
fn a_run_that_succeeds_brings_console_report_and_verdict() {
    let outcome = run("success", PLENTY);
    assert_eq!(outcome.exit, Exit::SUCCESS);
    assert_eq!(outcome.console, ["L0 | options: flavour=ghci memory=128 log=info"]);
    assert_eq!(outcome.report.rows[0].relayed, 3);
    assert!(outcome.judge().unwrap().starts_with("PASSED: 3 interrupts relayed"));
}

#[test]
fn a_machine_that_hangs_is_ended_at_its_limit() {
    let outcome = run("hang", Duration::from_millis(300));
    assert_eq!(outcome.exit, Exit::TimedOut);
    assert_eq!(outcome.console.len(), 1, "what it said before is kept");
    assert!(outcome.judge().unwrap_err().contains("time limit"));
}

#[test]
fn what_qemu_complains_about_is_in_the_verdict() {
    let outcome = run("anything else", PLENTY);
    assert!(outcome.judge().unwrap_err().contains("stand-in: cannot do that"));
}
