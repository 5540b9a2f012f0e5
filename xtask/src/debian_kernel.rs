// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels as Debian ships them: the file that a cloud's machine boots, unmodified.

use core::fmt;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::{
    Result,
    debian_package::{Wanted, field, provide},
};

/// A line of kernels that Debian maintains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Series {
    /// The kernel of Debian 12, which knows nothing of TDX.
    #[value(name = "6.1")]
    V6_1,
    /// The kernel of Debian 13, also in the backports of 12.
    #[value(name = "6.12")]
    V6_12,
}

/// A kernel of Debian's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The bzImage.
    pub path: PathBuf,
    /// What `uname -r` says.
    pub release: String,
    /// The package's version.
    pub version: String,
    /// SHA-256 of the bzImage.
    pub sha256: String,
}

impl Series {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V6_1, Self::V6_12];

    fn wanted(self) -> Wanted {
        const ADVICE: &str = "Connect this machine to Debian's archive and run the command again, \
                              or give a kernel of your own: --kernel PATH";
        let (place, suites, select): (_, &[_], fn(&str) -> _) = match self {
            Self::V6_1 => ("linux-6.1", &["bookworm"], |records| image(records, "6.1")),
            Self::V6_12 => {
                ("linux-6.12", &["bookworm-backports", "trixie"], |records| image(records, "6.12"))
            }
        };
        Wanted {
            place,
            suites,
            entry: "linux-image-cloud-amd64",
            select,
            is_file: |path| path.starts_with("boot/vmlinuz-"),
            advice: ADVICE,
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        })
    }
}

/// Returns Debian's kernel of a series, fetching it if it is not in the cache.
///
/// # Errors
///
/// If it is not in the cache and cannot be fetched; the failure says what to do.
pub fn kernel(series: Series) -> Result<Kernel> {
    let (path, package) = provide(&series.wanted())?;
    let release = package.name.strip_prefix(IMAGE).unwrap_or(&package.name).to_owned();
    Ok(Kernel { path, release, version: package.version, sha256: package.file_sha256 })
}

/// What the name of a kernel's package begins with.
const IMAGE: &str = "linux-image-";

/// Finds the package that the newest meta package of a series stands for.
fn image(records: &str, series: &str) -> Option<(String, String)> {
    let prefix = format!("{IMAGE}{series}.");
    records.split("\n\n").find_map(|record| {
        let dependency = field(record, "Depends")?
            .split(',')
            .map(str::trim)
            .find(|dependency| dependency.starts_with(&prefix))?;
        let name = dependency.split_whitespace().next()?;
        Some((name.to_owned(), field(record, "Version")?.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::image;

    const RECORDS: &str = "\
Package: linux-image-cloud-amd64
Version: 6.12.95-1~bpo12+1
Depends: linux-image-6.12.95+deb12-cloud-amd64 (= 6.12.95-1~bpo12+1)

Package: linux-image-cloud-amd64
Version: 6.1.176-1
Depends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)
";

    #[test]
    fn the_meta_package_leads_to_the_kernel_of_a_series() {
        let found = |series| image(RECORDS, series).map(|(name, _)| name);
        assert_eq!(found("6.1").as_deref(), Some("linux-image-6.1.0-50-cloud-amd64"));
        assert_eq!(found("6.12").as_deref(), Some("linux-image-6.12.95+deb12-cloud-amd64"));
        assert_eq!(found("6.13"), None);
    }
}
