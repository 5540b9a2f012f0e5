// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask doctor`: what this machine lacks and how to get it. It changes nothing.

use core::time::Duration;
use std::process::ExitCode;

use crate::{
    Result,
    gates::callgrind,
    paths,
    qemu::{self, Qemu},
    sysroot::{self, CoreLibrary},
    tool::Tool,
    toolchain::{TARGET, Toolchain, cargo},
};

/// The compiler that the workspace asks for.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// What was found of one thing.
enum Finding {
    Here(String),
    /// Missing, but provided by the first command that needs it.
    Automatic(String),
    /// Missing, and only some people need it.
    Optional(String),
    Missing(String),
}

#[expect(clippy::print_stdout, reason = "the findings are what the command is for")]
pub(super) fn run() -> Result<ExitCode> {
    let toolchain = Toolchain::find()?;
    let findings = [
        ("rustc", rust(&toolchain)),
        ("clippy", component("clippy")),
        ("rustfmt", component("fmt")),
        (TARGET, core_library(&toolchain)?),
        ("linker", linker(&toolchain)),
        ("QEMU", emulator()),
        ("valgrind", valgrind()),
        ("gdb", gdb()),
    ];
    let mut missing = 0;
    for (thing, finding) in findings {
        let (state, text) = match finding {
            Finding::Here(text) => ("ok", text),
            Finding::Automatic(text) => ("later", text),
            Finding::Optional(text) => ("optional", text),
            Finding::Missing(text) => {
                missing += 1;
                ("MISSING", text)
            }
        };
        println!("{state:>8}  {thing}: {text}");
    }
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rust(toolchain: &Toolchain) -> Finding {
    let number = |version: &str| -> Vec<u32> {
        version.split('.').filter_map(|part| part.parse().ok()).collect()
    };
    let release = &toolchain.release;
    if number(release) >= number(OLDEST_RUST) {
        Finding::Here(release.clone())
    } else {
        Finding::Missing(format!("{release} is too old, get {OLDEST_RUST}: rustup update stable"))
    }
}

fn component(subcommand: &str) -> Finding {
    const LIMIT: Duration = Duration::from_secs(60);
    match Tool::new(cargo(), LIMIT).args([subcommand, "--version"]).stdout() {
        Ok(version) => Finding::Here(version.trim().to_owned()),
        Err(_) => {
            let name = if subcommand == "fmt" { "rustfmt" } else { subcommand };
            Finding::Missing(format!("rustup component add {name}"))
        }
    }
}

fn core_library(toolchain: &Toolchain) -> Result<Finding> {
    Ok(match sysroot::present(toolchain)? {
        Some(CoreLibrary::Toolchain) => Finding::Here("in the toolchain".to_owned()),
        Some(CoreLibrary::Directory(path)) => Finding::Here(path.display().to_string()),
        None => Finding::Automatic(format!(
            "provided by the first build; by hand: rustup target add {TARGET}"
        )),
    })
}

fn linker(toolchain: &Toolchain) -> Finding {
    match (toolchain.has_linker(), paths::program("ld")) {
        (true, _) => Finding::Here("rust-lld of the toolchain".to_owned()),
        (false, Some(path)) => Finding::Here(path.display().to_string()),
        (false, None) => Finding::Missing("apt-get install binutils".to_owned()),
    }
}

fn emulator() -> Finding {
    let advice = format!("as root: {}", qemu::INSTALL);
    let Some(program) = Qemu::program(None) else { return Finding::Missing(advice) };
    match Qemu::check(program) {
        Ok(qemu) => Finding::Here(format!(
            "{} {}.{}",
            qemu.program.display(),
            qemu.version.major,
            qemu.version.minor
        )),
        Err(failure) => Finding::Missing(format!("{failure}; {advice}")),
    }
}

fn valgrind() -> Finding {
    match paths::program(callgrind::PROGRAM) {
        Some(path) => Finding::Here(path.display().to_string()),
        None => Finding::Automatic(format!(
            "for gates; installed when root runs them, else as root: {}",
            callgrind::INSTALL
        )),
    }
}

fn gdb() -> Finding {
    match paths::program("gdb") {
        Some(path) => Finding::Here(path.display().to_string()),
        None => Finding::Optional("for run --gdb: apt-get install gdb".to_owned()),
    }
}
