// SPDX-License-Identifier: MIT OR Apache-2.0
//! apt with a source list and a state of its own, hence without root and without a trace in the
//! system's. The mirror is the one that the system's own list names; what comes from it is checked
//! against the keys of Debian's archive.

use core::time::Duration;
use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Failure, Result, failure::Context, paths, tool::Tool};

const LIMIT: Duration = Duration::from_secs(300);

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// apt with its own list and state below a directory.
#[derive(Debug)]
pub(crate) struct Apt<'a> {
    work: &'a Path,
    options: Vec<String>,
}

impl<'a> Apt<'a> {
    /// Prepares apt to look into `suites`, with everything that it keeps in `work`.
    pub(crate) fn new(work: &'a Path, suites: &[&str]) -> Result<Self> {
        for program in ["apt-get", "apt-cache", "dpkg-deb", "tar"] {
            if paths::program(program).is_none() {
                return Err(Failure::new(format!("no {program} here, hence no Debian package")));
            }
        }
        let mirror = mirror()?;
        let lines = suites.iter().map(|suite| {
            let archive = if suite.ends_with("-security") { "debian-security" } else { "debian" };
            format!("deb [signed-by={KEYRING}] {mirror}/{archive} {suite} main\n")
        });
        let list = work.join("sources.list");
        fs::write(&list, lines.collect::<String>())
            .context(|| format!("cannot write {}", list.display()))?;
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
            // A list that cannot be read is a failure, which tells why.
            "APT::Update::Error-Mode=any".to_owned(),
            "Acquire::Retries=1".to_owned(),
            "Acquire::http::Timeout=30".to_owned(),
        ];
        Ok(Self { work, options })
    }

    fn run(&self, program: &str) -> Tool {
        let options = self.options.iter().flat_map(|option| ["-o", option]);
        Tool::new(program, LIMIT).args(options).directory(self.work)
    }

    /// Reads the mirror's package lists.
    pub(crate) fn update(&self) -> Result<()> {
        self.run("apt-get").args(["--quiet", "update"]).stdout().map(|_| ())
    }

    /// Returns lines such as `name | version | where`, one for each version of `package`.
    pub(crate) fn versions(&self, package: &str) -> Result<String> {
        self.run("apt-cache").args(["madison", package]).stdout()
    }

    /// Returns the records of all versions of `package`, the newest first; fails if there is none.
    pub(crate) fn records(&self, package: &str) -> Result<String> {
        self.run("apt-cache").args(["show", package]).stdout()
    }

    /// Downloads `package`, a name with or without `=version`, and returns where it is.
    pub(crate) fn download(&self, package: &str) -> Result<PathBuf> {
        self.run("apt-get").args(["--quiet", "download", package]).stdout()?;
        let entries = fs::read_dir(self.work).context(|| "cannot list the download".to_owned())?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or_else(|| Failure::new(format!("apt-get left no file for {package}")))
    }
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
