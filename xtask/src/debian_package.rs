// SPDX-License-Identifier: MIT OR Apache-2.0
//! Single files out of Debian's packages: fetched once through apt, then kept.
//!
//! ```text
//!  <cache>/debian/<place>/<file>          what is wanted of the package
//!  <cache>/debian/<place>/package.json    which package it is from, and what it must hash to
//!  <cache>/debian/apt/…                   apt's own lists
//! ```
//!
//! What is there is used without asking anybody; to get a newer package, remove its directory. apt
//! checks a package against the archive's signed lists; the hash taken then tells a copy that was
//! damaged since, which is fetched again.

use core::time::Duration;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Failure, Result,
    apt::Apt,
    failure::Context,
    paths,
    progress::{say, step},
    tool::Tool,
};

/// What there is to know about a file from a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Package {
    /// The package's name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// SHA-256 of the package.
    pub(crate) sha256: String,
    /// SHA-256 of the file.
    pub(crate) file_sha256: String,
}

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// What to call it in messages, and the name of its place in the cache.
    pub(crate) place: &'static str,
    /// Where to look, best first.
    pub(crate) suites: &'static [&'static str],
    /// The package whose records are searched.
    pub(crate) entry: &'static str,
    /// Finds name and version of the package in these records.
    pub(crate) select: fn(&str) -> Option<(String, String)>,
    /// Tells the file from the package's others, by its path.
    pub(crate) is_file: fn(&str) -> bool,
    /// What to do without the archive.
    pub(crate) advice: &'static str,
}

/// The description in the cache.
const DESCRIPTION: &str = "package.json";

/// The file's name in the cache.
const FILE: &str = "file";

const LIMIT: Duration = Duration::from_secs(300);

/// Returns a file of a package and which package it is.
pub(crate) fn provide(wanted: &Wanted) -> Result<(PathBuf, Package)> {
    let base = paths::created(paths::cache()?.join("debian"))?;
    let place = base.join(wanted.place);
    let package = match cached(&place) {
        Some(package) => package,
        None => fetch_alone(wanted, &base, &place).map_err(|failure| {
            Failure::new(format!(
                "Debian's {} is not in the cache ({}) and cannot be fetched.{failure}\n{}",
                wanted.place,
                place.display(),
                wanted.advice
            ))
        })?,
    };
    say_once(&package);
    Ok((place.join(FILE), package))
}

/// Says which package is used, once in a run.
fn say_once(package: &Package) {
    static SAID: Mutex<Vec<Package>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.contains(package) {
        let Package { name, version, sha256, file_sha256 } = package;
        say("debian", &format!("{name} {version}, SHA-256 {sha256}, of its file {file_sha256}"));
        said.push(package.clone());
    }
}

/// Returns what is known about the file at `place` if it is there and whole.
fn cached(place: &Path) -> Option<Package> {
    let text = fs::read(place.join(DESCRIPTION)).ok()?;
    let package: Package = serde_json::from_slice(&text).ok()?;
    let file = fs::read(place.join(FILE)).ok()?;
    if sha256(&file) == package.file_sha256 {
        return Some(package);
    }
    say("debian", &format!("{} is damaged and will be fetched again", place.display()));
    None
}

/// Fetches it while nobody else does.
fn fetch_alone(wanted: &Wanted, base: &Path, place: &Path) -> Result<Package> {
    let lock = base.join("lock");
    let lock = File::create(&lock).context(|| format!("cannot create {}", lock.display()))?;
    flock(&lock, FlockOperation::LockExclusive).context(|| "cannot lock the cache".to_owned())?;
    // Somebody else may have been faster.
    if let Some(package) = cached(place) {
        return Ok(package);
    }
    let mut failures = Vec::new();
    for suite in wanted.suites {
        match fetch(wanted, suite, base, place) {
            Ok(package) => return Ok(package),
            Err(failure) => failures.push(format!("\n  {suite}: {}", reason(&failure.to_string()))),
        }
    }
    Err(Failure::new(failures.concat()))
}

/// Returns the line of a failure that says why: apt's last error, which sums up the ones before, is
/// not it.
fn reason(failure: &str) -> &str {
    let mut errors = failure.lines().filter_map(|line| line.strip_prefix("E: "));
    errors.next().unwrap_or(failure)
}

fn fetch(wanted: &Wanted, suite: &str, base: &Path, place: &Path) -> Result<Package> {
    let work = paths::created(base.join("apt").join(suite))?;
    let apt = Apt::new(&work, &[suite])?;
    step("debian", &format!("reading the package lists of {suite}"), || apt.update())?;
    let records = apt.records(wanted.entry)?;
    let (name, version) = (wanted.select)(&records)
        .ok_or_else(|| Failure::new(format!("no {} depends on what is wanted", wanted.entry)))?;
    let archive = step("debian", &format!("fetching {name} {version}"), || apt.download(&name))?;
    let tree = work.join("tree");
    let unpacked = unpack(wanted, &archive, &tree);
    let package = unpacked.and_then(|file| {
        let hash = |path: &Path| {
            fs::read(path)
                .map(|bytes| sha256(&bytes))
                .context(|| format!("cannot read {}", path.display()))
        };
        let package = Package { name, version, sha256: hash(&archive)?, file_sha256: hash(&file)? };
        keep(&file, &package, place)?;
        Ok(package)
    });
    // What is left behind costs nothing but space, and is looked for again by no one.
    drop(fs::remove_dir_all(&tree));
    drop(fs::remove_file(&archive));
    package
}

/// Unpacks the package and returns where the file is.
fn unpack(wanted: &Wanted, archive: &Path, tree: &Path) -> Result<PathBuf> {
    drop(fs::remove_dir_all(tree));
    Tool::new("dpkg-deb", LIMIT).arg("--extract").args([archive, tree]).stdout()?;
    let mut directories = vec![tree.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let inside = path.strip_prefix(tree).unwrap_or(&path).to_string_lossy().into_owned();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(path),
                Ok(kind) if kind.is_file() && (wanted.is_file)(&inside) => return Ok(path),
                _ => {}
            }
        }
    }
    Err(Failure::new(format!("{} is not in {}", wanted.place, archive.display())))
}

/// Puts file and description into the cache; the description last, so that it speaks of a file
/// that is there.
fn keep(file: &Path, package: &Package, place: &Path) -> Result<()> {
    paths::created(place.to_owned())?;
    let shown = || format!("cannot write to {}", place.display());
    drop(fs::remove_file(place.join(DESCRIPTION)));
    fs::copy(file, place.join(FILE)).context(shown)?;
    let text = serde_json::to_string_pretty(package).context(shown)?;
    let unfinished = place.join("unfinished");
    fs::write(&unfinished, format!("{text}\n")).context(shown)?;
    fs::rename(unfinished, place.join(DESCRIPTION)).context(shown)
}

/// Returns the value of a field in a package's record.
pub(crate) fn field<'r>(record: &'r str, name: &str) -> Option<&'r str> {
    record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Returns the package that the newest record itself is about.
pub(crate) fn itself(records: &str) -> Option<(String, String)> {
    let record = records.split("\n\n").next()?;
    Some((field(record, "Package")?.to_owned(), field(record, "Version")?.to_owned()))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::{DESCRIPTION, FILE, Package, cached, itself, keep, reason, sha256};

    #[test]
    fn the_reason_is_what_apt_says_first() {
        let text =
            "Err:1 http://a\nE: Failed to fetch http://a  No route\nE: Some failed.\n100 of: x";
        assert_eq!(reason(text), "Failed to fetch http://a  No route");
        assert_eq!(reason("no apt-get here"), "no apt-get here");
    }

    #[test]
    fn a_record_names_its_package() {
        let records = "Package: busybox-static\nVersion: 1:1.35\nDepends: x\n\nPackage: other\n";
        assert_eq!(itself(records), Some(("busybox-static".into(), "1:1.35".into())));
        assert_eq!(itself(""), None);
    }

    #[test]
    fn a_copy_is_used_only_while_it_is_whole() {
        let place = env::temp_dir().join(format!("lychgate-package-{}", process::id()));
        fs::create_dir_all(&place).unwrap();
        let file = place.join("original");
        fs::write(&file, "kernel").unwrap();
        let package = Package {
            name: "linux-image".into(),
            version: "6.1".into(),
            sha256: String::new(),
            file_sha256: sha256(b"kernel"),
        };
        assert_eq!(cached(&place), None, "nothing is there");
        keep(&file, &package, &place).unwrap();
        assert_eq!(cached(&place), Some(package));
        fs::write(place.join(FILE), "kernel!").unwrap();
        assert_eq!(cached(&place), None, "the file is another one");
        fs::write(place.join(FILE), "kernel").unwrap();
        fs::write(place.join(DESCRIPTION), "{").unwrap();
        assert_eq!(cached(&place), None, "the description is cut off");
        fs::remove_dir_all(&place).unwrap();
    }
}
