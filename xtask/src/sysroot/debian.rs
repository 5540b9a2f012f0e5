// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library's source from Debian: `rust-src`, or `rust-web-src` where that one is newer.
//!
//! apt is used with a source list and a state of our own, hence without root and without a trace
//! in the system's. The mirror is the one that the system's own list names.

use core::time::Duration;
use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Failure, Result, failure::Context, paths, progress::step, tool::Tool};

const LIMIT: Duration = Duration::from_secs(300);

/// Where to look; compilers of several ages are in use, and so are their packages.
const SUITES: [&str; 6] =
    ["trixie-backports", "bookworm-security", "trixie-security", "trixie", "forky", "sid"];

const PACKAGES: [&str; 2] = ["rust-src", "rust-web-src"];

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What the core library consists of, out of a tree ten times that size.
const PARTS: [&str; 5] = ["core", "alloc", "compiler-builtins", "portable-simd", "stdarch"];

/// Fetches the source of exactly `release` and returns its directory below `work`.
pub(crate) fn fetch(release: &str, work: &Path) -> Result<PathBuf> {
    for program in ["apt-get", "apt-cache", "dpkg-deb", "tar"] {
        if paths::program(program).is_none() {
            return Err(Failure::new(format!("no {program} here, hence no Debian package")));
        }
    }
    let apt = Apt::new(work)?;
    step("set-up", "reading Debian's package lists", || apt.update())?;
    let package = apt
        .package(release)?
        .ok_or_else(|| Failure::new(format!("Debian has no rust-src of release {release}")))?;
    let archive = step("set-up", &format!("fetching {package}"), || apt.download(&package))?;
    unpack(&archive, work)
}

/// apt with its own list and state.
struct Apt<'a> {
    work: &'a Path,
    options: Vec<String>,
}

impl<'a> Apt<'a> {
    fn new(work: &'a Path) -> Result<Self> {
        let mirror = mirror()?;
        let lines = SUITES.map(|suite| {
            let archive = if suite.ends_with("-security") { "debian-security" } else { "debian" };
            format!("deb [signed-by={KEYRING}] {mirror}/{archive} {suite} main\n")
        });
        let list = work.join("sources.list");
        fs::write(&list, lines.concat()).context(|| format!("cannot write {}", list.display()))?;
        let lists = paths::created(work.join("lists/partial"))?;
        let archives = paths::created(work.join("cache/archives/partial"))?;
        let (lists, cache) = (lists.parent(), archives.ancestors().nth(2));
        let shown = |path: Option<&Path>| path.unwrap_or(work).display().to_string();
        let options = vec![
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", shown(lists)),
            format!("Dir::Cache={}", shown(cache)),
            "APT::Sandbox::User=".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ];
        Ok(Self { work, options })
    }

    fn run(&self, program: &str) -> Tool {
        let options = self.options.iter().flat_map(|option| ["-o", option]);
        Tool::new(program, LIMIT).args(options).directory(self.work)
    }

    fn update(&self) -> Result<()> {
        self.run("apt-get").args(["--quiet", "update"]).stdout().map(|_| ())
    }

    /// Returns `name=version` of the package that has exactly the compiler's release.
    fn package(&self, release: &str) -> Result<Option<String>> {
        for name in PACKAGES {
            let table = self.run("apt-cache").args(["madison", name]).stdout()?;
            if let Some(version) = version_of(release, &table) {
                return Ok(Some(format!("{name}={version}")));
            }
        }
        Ok(None)
    }

    fn download(&self, package: &str) -> Result<PathBuf> {
        self.run("apt-get").args(["--quiet", "download", package]).stdout()?;
        let entries = fs::read_dir(self.work).context(|| "cannot list the download".to_owned())?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or_else(|| Failure::new(format!("apt-get left no file for {package}")))
    }
}

/// Finds the version of `release` in lines such as `name | version | where`.
fn version_of<'t>(release: &str, table: &'t str) -> Option<&'t str> {
    let version = |line: &'t str| line.split('|').nth(1).map(str::trim);
    table.lines().filter_map(version).find(|version| {
        version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '-']))
    })
}

/// Returns the mirror that this machine's own package lists come from, without the archive's name.
fn mirror() -> Result<String> {
    let targets = Tool::new("apt-get", LIMIT)
        .args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"])
        .stdout()?;
    targets
        .lines()
        .find_map(|uri| uri.trim_end_matches('/').strip_suffix("/debian").map(str::to_owned))
        .ok_or_else(|| Failure::new("this machine's apt knows no Debian mirror"))
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
