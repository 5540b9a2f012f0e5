// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask lint`: format, lints and documentation on both targets, and the house's own rules.

use core::time::Duration;
use std::process::ExitCode;

use crate::{
    Failure, Result,
    bare_metal::{BareMetal, PROGRAMS},
    paths,
    progress::{say, step},
    rules,
    tool::Tool,
    toolchain::cargo,
};

const LIMIT: Duration = Duration::from_secs(1200);

pub(super) fn run() -> Result<ExitCode> {
    source_rules()?;
    let host = |words: &str| {
        let tool = Tool::new(cargo(), LIMIT).args(words.split(' ')).directory(paths::root());
        step("lint", &format!("cargo {words}"), || tool.stdout())
    };
    host("fmt --all --check")?;
    host("clippy --quiet --workspace --all-targets -- -D warnings")?;
    let programs = || PROGRAMS.iter().flat_map(|program| ["--package", program]);
    let bare_metal = BareMetal::provide()?;
    let tool = bare_metal.cargo("clippy", LIMIT).args(["--quiet", "--release"]).args(programs());
    let tool = tool.args(["--", "-D", "warnings"]);
    step("lint", "cargo clippy for the images", || tool.stdout())?;
    let tool = Tool::new(cargo(), LIMIT)
        .args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .directory(paths::root());
    step("lint", "cargo doc", || tool.stdout())?;
    let tool = bare_metal.cargo("doc", LIMIT).args(["--quiet", "--no-deps"]);
    let tool = tool.arg("--document-private-items").args(programs());
    step("lint", "cargo doc for the images", || tool.stdout())?;
    Ok(ExitCode::SUCCESS)
}

fn source_rules() -> Result<()> {
    let found = step("lint", "rules for source files", || rules::check(paths::root()))?;
    for (package, count) in &found.unsafe_modules {
        say("unsafe", &format!("{count:3} modules in {package}"));
    }
    if found.breaches.is_empty() {
        return Ok(());
    }
    Err(Failure::new(found.breaches.join("\n")))
}
