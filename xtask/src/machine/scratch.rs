// SPDX-License-Identifier: MIT OR Apache-2.0
//! A directory that is gone afterwards; with a short name, because a socket in it must have one.

use core::sync::atomic::{AtomicU32, Ordering};
use std::{
    env,
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
};

use crate::{Result, failure::Context};

/// A directory of our own, closed to other users.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// If the system's directory for such things cannot be written.
    pub fn new() -> Result<Self> {
        /// Tells the directories of one process apart.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            // Relaxed: only that no number comes twice matters.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("lychgate-{}-{number}", process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left behind by a process of the same number; it is not ours to remove.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).context(|| format!("cannot create {}", path.display()));
                }
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed costs nothing but space.
        drop(fs::remove_dir_all(&self.0));
    }
}
