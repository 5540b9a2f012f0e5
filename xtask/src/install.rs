// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs of Debian that are installed where they are missing, if we may.

use core::time::Duration;
use std::path::PathBuf;

use crate::{
    Failure, Result, paths,
    progress::{say, step},
    tool::Tool,
};

/// Installs `program` by `command`, an `apt-get` command line, if we are root on a Debian; else says how to.
pub(crate) fn install(program: &str, command: &str) -> Result<PathBuf> {
    const LIMIT: Duration = Duration::from_secs(900);
    let advice = || Failure::new(format!("{program} is missing. As root:\n{command}"));
    if !rustix::process::geteuid().is_root() || paths::program("apt-get").is_none() {
        return Err(advice());
    }
    let apt = |arguments: &[&str]| {
        Tool::new("apt-get", LIMIT)
            // A machine that has just booted may still be updating itself.
            .args(["--quiet", "-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout()
    };
    if let Err(failure) = step("set-up", "apt-get update", || apt(&["update"])) {
        // Often one source of many is at fault, and the package is in another.
        say("set-up", &failure.to_string());
    }
    let words: Vec<_> = command.split_whitespace().skip(1).collect();
    step("set-up", command, || apt(&words))?;
    paths::program(program).ok_or_else(advice)
}
