// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things are: the workspace, what it builds, and the cache that outlives it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{Failure, Result, failure::Context};

/// Returns the workspace's root.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Returns where cargo builds.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// Returns where images and everything that belongs to them are kept.
pub(crate) fn images() -> Result<PathBuf> {
    created(target().join("lychgate"))
}

/// Returns what survives `cargo clean`.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .ok_or_else(|| Failure::new("no cache directory: set HOME or XDG_CACHE_HOME"))?;
    created(base.join("lychgate"))
}

/// Returns where cargo keeps the sources of other people's crates.
pub(crate) fn registry() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    Some(home.join("registry/src"))
}

/// Returns the first `program` in `PATH`.
pub(crate) fn program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

pub(crate) fn created(directory: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&directory).context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory)
}
