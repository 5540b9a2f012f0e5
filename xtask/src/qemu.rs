// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine emulator: a stock QEMU with TCG, found or installed.

use core::time::Duration;
use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{Failure, Result, install::install, paths, tool::Tool};

/// The program.
const PROGRAM: &str = "qemu-system-x86_64";

/// Names a program to use instead of the one in `PATH`.
const VARIABLE: &str = "LYCHGATE_QEMU";

/// What installs it on Debian and its kin.
pub(crate) const INSTALL: &str = "apt-get install --yes --no-install-recommends qemu-system-x86";

/// The oldest version whose SVM is known to carry the emulator.
const OLDEST: Version = Version { major: 7, minor: 2 };

/// The first version known to get the flags of CMPXCHG16B right.
const CMPXCHG16B_WORKS: Version = Version { major: 10, minor: 0 };

const LIMIT: Duration = Duration::from_secs(30);

/// A QEMU that will do.
#[derive(Clone, Debug)]
pub struct Qemu {
    pub(crate) program: PathBuf,
    pub(crate) version: Version,
}

/// A version of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Qemu {
    /// Finds a QEMU: the `given` one, else the environment's, else the one in `PATH`, which root
    /// gets installed where it is missing.
    ///
    /// # Errors
    ///
    /// If there is none, or it is too old or without TCG; the failure says what to do.
    pub fn find(given: Option<&Path>) -> Result<Self> {
        let program = match Self::program(given) {
            Some(program) => program,
            None => install(PROGRAM, INSTALL)?,
        };
        Self::check(program)
    }

    /// Returns the program to use, if there is one.
    pub(crate) fn program(given: Option<&Path>) -> Option<PathBuf> {
        let named = given.map(Path::to_owned).or_else(|| env::var_os(VARIABLE).map(PathBuf::from));
        named.or_else(|| paths::program(PROGRAM))
    }

    /// Checks that `program` will do.
    pub(crate) fn check(program: PathBuf) -> Result<Self> {
        let text = Tool::new(&program, LIMIT).arg("--version").stdout()?;
        let shown = program.display();
        let version = Version::parse(&text)
            .ok_or_else(|| Failure::new(format!("{shown} does not tell its version:\n{text}")))?;
        if version < OLDEST {
            let Version { major, minor } = version;
            return Err(Failure::new(format!("{shown} is version {major}.{minor}, 7.2 is needed")));
        }
        let accelerators = Tool::new(&program, LIMIT).args(["-accel", "help"]).stdout()?;
        if !accelerators.split_whitespace().any(|word| word == "tcg") {
            return Err(Failure::new(format!("{shown} was built without TCG")));
        }
        Ok(Self { program, version })
    }

    /// Returns the CPU to emulate; what a version gets wrong is hidden.
    pub(crate) fn cpu(&self) -> &'static str {
        if self.version < CMPXCHG16B_WORKS {
            "max,+svm,phys-bits=48,-cx16"
        } else {
            "max,+svm,phys-bits=48"
        }
    }
}

impl Version {
    /// Reads the version out of what `--version` prints.
    fn parse(text: &str) -> Option<Self> {
        let number = text.split_once("version ")?.1;
        let mut parts = number.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Self { major: parts.next()?.ok()?, minor: parts.next()?.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_read_from_the_first_line() {
        let version = |text| Version::parse(text);
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright";
        assert_eq!(version(debian), Some(Version { major: 7, minor: 2 }));
        let newer = version("QEMU emulator version 10.0.2");
        assert_eq!(newer, Some(Version { major: 10, minor: 0 }));
        assert!(newer > version(debian));
        assert_eq!(version("something else"), None);
    }
}
