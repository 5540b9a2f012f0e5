// SPDX-License-Identifier: MIT OR Apache-2.0
//! The core library of the bare-metal target, which few toolchains bring.
//!
//! Tried in this order: the toolchain has it; it is in our cache; rustup adds it (not in CI, where
//! nothing may depend on that download); it is built once from the library's source, of exactly the
//! compiler's version, which the toolchain or a Debian package has. Nothing of it needs a nightly
//! compiler, root, or a change to the toolchain.

/// The library's source as a Debian package.
mod debian;

/// Builds the library.
mod compile;

use core::time::Duration;
use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process,
};

use sha2::{Digest, Sha256};

use crate::{
    Failure, Result,
    failure::Context,
    paths,
    progress::{say, step},
    tool::Tool,
    toolchain::{TARGET, Toolchain, has_core},
};

/// Names where the core library must come from; `debian` is the only value with a meaning.
const FROM: &str = "LYCHGATE_TARGET_FROM";

/// Where the target's core library is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CoreLibrary {
    /// Where the compiler looks by itself.
    Toolchain,
    /// In a directory to be given as `--sysroot`.
    Directory(PathBuf),
}

/// Returns where the core library is, if it is anywhere already.
pub(crate) fn present(toolchain: &Toolchain) -> Result<Option<CoreLibrary>> {
    if toolchain.has_target() {
        return Ok(Some(CoreLibrary::Toolchain));
    }
    let cached = cached(toolchain)?;
    Ok(has_core(&libraries(&cached)).then_some(CoreLibrary::Directory(cached)))
}

/// Returns where the core library is, after providing it if need be.
pub(crate) fn provide(toolchain: &Toolchain) -> Result<CoreLibrary> {
    if let Some(present) = present(toolchain)? {
        return Ok(present);
    }
    say("set-up", &format!("this toolchain has no core library for {TARGET}"));
    if rustup_allowed() && rustup_adds_it(toolchain) {
        return Ok(CoreLibrary::Toolchain);
    }
    build(toolchain).map(CoreLibrary::Directory).map_err(|failure| {
        Failure::new(format!(
            "{failure}\nThe core library for {TARGET} could not be provided. This command would do it:\n\
             rustup target add {TARGET}"
        ))
    })
}

fn rustup_allowed() -> bool {
    let debian = env::var_os(FROM).is_some_and(|from| from == "debian");
    !debian && env::var_os("CI").is_none_or(|ci| ci.is_empty() || ci == "false")
}

fn rustup_adds_it(toolchain: &Toolchain) -> bool {
    const LIMIT: Duration = Duration::from_secs(120);
    let Some(rustup) = paths::program("rustup") else { return false };
    let add = || Tool::new(rustup, LIMIT).args(["target", "add", TARGET]).stdout();
    match step("set-up", &format!("rustup target add {TARGET}"), add) {
        Ok(_) => toolchain.has_target(),
        Err(failure) => {
            say("set-up", &format!("rustup could not add it, so it will be built here: {failure}"));
            false
        }
    }
}

/// Builds the library in a directory of its own and puts it into the cache in one move.
fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let cached = cached(toolchain)?;
    let work = cached.with_extension(format!("build-{}", process::id()));
    let work = paths::created(work)?;
    let built = source(toolchain, &work).and_then(|()| {
        let libraries = libraries(&work.join("sysroot"));
        step("set-up", "building the core library from source", || {
            compile::compile(&toolchain.release, &work, &libraries)
        })
    });
    let placed = built.and_then(|()| match fs::rename(work.join("sysroot"), &cached) {
        // Somebody else was faster, with the same result.
        Err(_) if has_core(&libraries(&cached)) => Ok(()),
        other => other.context(|| format!("cannot move the library to {}", cached.display())),
    });
    // What is left behind costs nothing but space.
    drop(fs::remove_dir_all(&work));
    placed.map(|()| cached)
}

/// Puts the library's source, the toolchain's or a package's, below `work` under a fixed name:
/// names of places go into the names of symbols, and with them into what is built.
fn source(toolchain: &Toolchain, work: &Path) -> Result<()> {
    let place = work.join(compile::SOURCE);
    let bundled = toolchain.sysroot.join("lib/rustlib/src/rust/library");
    let placed = if bundled.join("core/src/lib.rs").is_file() {
        symlink(bundled, place)
    } else {
        fs::rename(debian::fetch(&toolchain.release, work)?, place)
    };
    placed.context(|| "cannot place the library's source".to_owned())
}

/// The cache's directory for this very compiler.
fn cached(toolchain: &Toolchain) -> Result<PathBuf> {
    let digest = Sha256::digest(toolchain.version.as_bytes());
    let digest: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(paths::created(paths::cache()?.join("sysroot"))?
        .join(format!("{}-{digest}", toolchain.release)))
}

fn libraries(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}
