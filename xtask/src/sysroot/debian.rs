// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library's source from Debian: `rust-src`, or `rust-web-src` where that one is newer.

use core::time::Duration;
use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Failure, Result, apt::Apt, failure::Context, progress::step, tool::Tool};

const LIMIT: Duration = Duration::from_secs(300);

/// Where to look; compilers of several ages are in use, and so are their packages.
const SUITES: [&str; 6] =
    ["trixie-backports", "bookworm-security", "trixie-security", "trixie", "forky", "sid"];

const PACKAGES: [&str; 2] = ["rust-src", "rust-web-src"];

/// What the core library consists of, out of a tree ten times that size.
const PARTS: [&str; 5] = ["core", "alloc", "compiler-builtins", "portable-simd", "stdarch"];

/// Fetches the source of exactly `release` and returns its directory below `work`.
pub(crate) fn fetch(release: &str, work: &Path) -> Result<PathBuf> {
    let apt = Apt::new(work, &SUITES)?;
    step("set-up", "reading Debian's package lists", || apt.update())?;
    let package = package(&apt, release)?
        .ok_or_else(|| Failure::new(format!("Debian has no rust-src of release {release}")))?;
    let archive = step("set-up", &format!("fetching {package}"), || apt.download(&package))?;
    unpack(&archive, work)
}

/// Returns `name=version` of the package that has exactly the compiler's release.
fn package(apt: &Apt<'_>, release: &str) -> Result<Option<String>> {
    for name in PACKAGES {
        if let Some(version) = version_of(release, &apt.versions(name)?) {
            return Ok(Some(format!("{name}={version}")));
        }
    }
    Ok(None)
}

/// Finds the version of `release` in lines such as `name | version | where`.
fn version_of<'t>(release: &str, table: &'t str) -> Option<&'t str> {
    let version = |line: &'t str| line.split('|').nth(1).map(str::trim);
    table.lines().filter_map(version).find(|version| {
        version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '-']))
    })
}

fn unpack(archive: &Path, work: &Path) -> Result<PathBuf> {
    let tree = work.join("tree.tar");
    let shown = tree.display().to_string();
    // dpkg-deb writes the tree to its standard output only, hence the shell.
    Tool::new("sh", LIMIT)
        .args(["-c", "exec dpkg-deb --fsys-tarfile \"$1\" >\"$2\"", "sh"])
        .args([archive, &tree])
        .stdout()?;
    let parts = PARTS.map(|part| format!("./usr/src/rustc-*/library/{part}"));
    Tool::new("tar", LIMIT)
        .args(["-x", "-f", &shown, "--wildcards"])
        .args(parts)
        .directory(work)
        .stdout()?;
    let trees = fs::read_dir(work.join("usr/src")).context(|| format!("{shown} is empty"))?;
    trees
        .flatten()
        .map(|entry| entry.path().join("library"))
        .find(|library| library.join("core/src/lib.rs").is_file())
        .ok_or_else(|| Failure::new(format!("no library source in {}", archive.display())))
}

#[cfg(test)]
mod tests {
    use super::version_of;

    const TABLE: &str = "\
        rust-src | 1.97.1+dfsg1-1 | mirror sid/main amd64 Packages\n\
        rust-src | 1.95.0+dfsg1-2~bpo13+1 | mirror trixie-backports/main amd64 Packages\n\
        rust-src | 1.85.0+dfsg3-1 | mirror trixie/main amd64 Packages\n";

    #[test]
    fn only_a_package_of_exactly_the_release_is_taken() {
        assert_eq!(version_of("1.95.0", TABLE), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(version_of("1.95", TABLE), None);
        assert_eq!(version_of("1.95.1", TABLE), None);
        assert_eq!(version_of("1.95.0", ""), None);
    }
}
