// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Rust compiler in use: the one that cargo chose for us.

use core::time::Duration;
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::{Failure, Result, paths, tool::Tool};

/// The bare-metal target.
pub(crate) const TARGET: &str = "x86_64-unknown-none";

/// How long a question to the compiler may take; the first one of the day is slow.
const LIMIT: Duration = Duration::from_secs(60);

/// What the compiler says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// All lines of `rustc -vV`.
    pub(crate) version: String,
    /// The version number, such as 1.95.0.
    pub(crate) release: String,
    /// Its directory.
    pub(crate) sysroot: PathBuf,
    /// Where it keeps the target's core library, if it has one.
    target_libraries: PathBuf,
}

impl Toolchain {
    pub(crate) fn find() -> Result<Self> {
        let version = ask(&["-vV"])?;
        let release = version
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .ok_or_else(|| Failure::new(format!("cannot read rustc's version from:\n{version}")))?
            .to_owned();
        let sysroot = ask(&["--print", "sysroot"])?.trim().into();
        let target_libraries =
            ask(&["--print", "target-libdir", "--target", TARGET])?.trim().into();
        Ok(Self { version, release, sysroot, target_libraries })
    }

    /// Returns whether it brings the core library of the bare-metal target.
    pub(crate) fn has_target(&self) -> bool {
        has_core(&self.target_libraries)
    }

    /// Returns whether it brings the linker that it uses for the bare-metal target.
    pub(crate) fn has_linker(&self) -> bool {
        let host = self.version.lines().find_map(|line| line.strip_prefix("host: "));
        let bundled = |host| self.sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
        host.is_some_and(|host| bundled(host).is_file()) || paths::program("rust-lld").is_some()
    }
}

/// Returns the program that the environment names, or the one in `PATH`.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Returns whether `directory` holds a core library.
pub(crate) fn has_core(directory: &Path) -> bool {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    fs::read_dir(directory)
        .is_ok_and(|entries| entries.flatten().map(name).any(|name| name.starts_with("libcore-")))
}

fn ask(arguments: &[&str]) -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Tool::new(rustc, LIMIT).args(arguments).stdout()
}
