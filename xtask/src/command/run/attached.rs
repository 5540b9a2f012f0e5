// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk that a run gives to its guest: a file of the user's, or one made for a test.

use std::{fs::OpenOptions, path::Path};

use crate::{
    Result,
    command::guest_options,
    disk::Disk,
    failure::Context,
    machine::{Exit, Outcome, Scratch},
};

/// The word for a disk that is made for the run.
const TEST: &str = "test";

/// A disk.
#[derive(Debug)]
pub(super) enum Attached {
    /// The user's, which the guest may change.
    Given(Disk),
    /// One whose contents the guest checks and changes, in a directory that is gone afterwards.
    Test(Disk, #[expect(dead_code, reason = "its end removes the directory")] Scratch),
}

impl Attached {
    /// Takes the disk asked for.
    pub(super) fn new(path: &Path) -> Result<Self> {
        if path.as_os_str() == TEST {
            let directory = Scratch::new()?;
            return Ok(Self::Test(Disk::create(directory.path())?, directory));
        }
        let file = OpenOptions::new().read(true).write(true).open(path);
        file.context(|| format!("cannot open {}", path.display()))?;
        Ok(Self::Given(Disk { path: path.to_owned(), sha256: String::new() }))
    }

    /// What the guest's options must know of it.
    pub(super) fn kind(disk: Option<&Self>) -> guest_options::Disk {
        match disk {
            None => guest_options::Disk::None,
            Some(Self::Given(_)) => guest_options::Disk::Any,
            Some(Self::Test(..)) => guest_options::Disk::Test,
        }
    }

    /// QEMU's words for it.
    pub(super) fn qemu_options(&self) -> [String; 4] {
        let (Self::Given(disk) | Self::Test(disk, _)) = self;
        disk.qemu_options("")
    }

    /// Checks what a guest that ended well did with it.
    pub(super) fn check(&self, outcome: &Outcome) -> Result<()> {
        match self {
            Self::Test(disk, _) if outcome.exit == Exit::SUCCESS => disk.check(outcome),
            _ => Ok(()),
        }
    }
}
