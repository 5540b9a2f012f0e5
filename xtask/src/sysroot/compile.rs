// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the core library with the stable compiler, as the official build does it.
//!
//! A package with path dependencies on the library's three crates is all it takes: no registry, no
//! `-Zbuild-std`. The crates are the compiler's own, so it is told to take their feature gates.

use core::time::Duration;
use std::{fs, path::Path};

use serde::Deserialize;

use crate::{
    Failure, Result,
    failure::Context,
    paths,
    tool::Tool,
    toolchain::{TARGET, cargo},
};

const LIMIT: Duration = Duration::from_secs(900);

/// The name of the source's directory.
pub(crate) const SOURCE: &str = "library";

/// The package whose dependencies are what is wanted.
const MANIFEST: &str = r#"
[package]
name = "core-library"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
core = { path = "library/core" }
alloc = { path = "library/alloc" }
compiler_builtins = { path = "library/compiler-builtins/compiler-builtins", features = ["mem"] }

[profile.release]
panic = "abort"
"#;

/// How many crates it is.
const LIBRARIES: usize = 3;

/// A line of cargo's messages, of which only the files built are of interest.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    filenames: Vec<String>,
}

/// Builds the library from its source in `work`, where all else is put as well, and copies the
/// result to `libraries`.
pub(crate) fn compile(release: &str, work: &Path, libraries: &Path) -> Result<()> {
    let package = paths::created(work.join("src"))?;
    write(&package.join("lib.rs"), "#![feature(no_core)]\n#![no_core]\n")?;
    write(&work.join("Cargo.toml"), MANIFEST)?;
    let remap = |from: &Path, to: &str| {
        format!("--remap-path-prefix={}=/rustc/{release}{to}", from.display())
    };
    let flags = [
        "-Zforce-unstable-if-unmarked",
        // So that link-time optimisation works later.
        "-Cembed-bitcode=yes",
        // The last one that fits counts.
        &remap(work, ""),
        &remap(&work.join(SOURCE), "/library"),
    ];
    let messages = Tool::new(cargo(), LIMIT)
        .args(["build", "--quiet", "--release", "--offline", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_TARGET_DIR", work.join("target"))
        // Away from the workspace, whose configuration is not for this package.
        .directory(work)
        .stdout()?;
    copy_libraries(&messages, libraries)
}

fn copy_libraries(messages: &str, libraries: &Path) -> Result<()> {
    paths::created(libraries.to_owned())?;
    let files = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .flat_map(|message| message.filenames)
        .filter(|file| wanted(file));
    let mut copied = 0;
    for file in files {
        let name = Path::new(&file).file_name().unwrap_or_default();
        fs::copy(&file, libraries.join(name)).context(|| format!("cannot copy {file}"))?;
        copied += 1;
    }
    if copied == LIBRARIES {
        return Ok(());
    }
    Err(Failure::new(format!("{copied} libraries were built instead of {LIBRARIES}:\n{messages}")))
}

fn wanted(file: &str) -> bool {
    let path = Path::new(file);
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.extension().is_some_and(|extension| extension == "rlib")
        && ["libcore-", "liballoc-", "libcompiler_builtins-"]
            .iter()
            .any(|library| name.starts_with(library))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(|| format!("cannot write {}", path.display()))
}
