// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk of a Linux guest: 64 MiB whose contents look random and are the same each time.
//!
//! The guest hashes all of it, then writes the second MiB. Both are checked here, on the file: what
//! the guest says about its own reading proves little.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Failure, Result, debian_package::sha256, failure::Context, machine::Outcome};

/// Bytes of the disk.
const BYTES: usize = 64 << 20;

/// Where the guest writes.
const WRITTEN: core::ops::Range<usize> = 1 << 20..2 << 20;

/// The line that it writes over and over.
const LINE: &[u8] = b"written by the guest\n";

/// A disk and what its contents hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of its contents, before the guest writes.
    pub sha256: String,
}

impl Disk {
    /// Makes a disk in `directory`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn create(directory: &Path) -> Result<Self> {
        let path = directory.join("disk");
        let contents = contents();
        fs::write(&path, &contents).context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, sha256: sha256(&contents) })
    }

    /// Checks that the guest wrote what it should, and nothing else.
    ///
    /// # Errors
    ///
    /// If something else is on the disk.
    pub fn check_written(&self) -> Result<()> {
        let found =
            fs::read(&self.path).context(|| format!("cannot read {}", self.path.display()))?;
        let mut wanted = contents();
        let line = LINE.iter().cycle();
        wanted[WRITTEN].iter_mut().zip(line).for_each(|(byte, wanted)| *byte = *wanted);
        match found.iter().zip(&wanted).position(|(found, wanted)| found != wanted) {
            None if found.len() == wanted.len() => Ok(()),
            None => Err(Failure::new(format!("the disk has {} bytes now", found.len()))),
            Some(at) => Err(Failure::new(format!("the disk is not as it should be at {at:#x}"))),
        }
    }

    /// Checks that a guest read what was on the disk, and wrote what it should.
    ///
    /// # Errors
    ///
    /// If it said another hash or none, or something else is on the disk.
    pub fn check(&self, outcome: &Outcome) -> Result<()> {
        let hash = format!("sha256={}", self.sha256);
        let told = |line: &String| line.split(' ').any(|word| word == hash);
        if outcome.report.guest.iter().any(told) {
            return self.check_written();
        }
        Err(Failure::new(format!("the guest did not find {hash} on its disk")))
    }

    /// Returns QEMU's words for it as an NVMe disk.
    #[must_use]
    pub fn qemu_options(&self, nvme: &str) -> [String; 4] {
        // A comma in a file's name is doubled.
        let path = self.path.display().to_string().replace(',', ",,");
        [
            "-drive".to_owned(),
            format!("file={path},if=none,id=disk,format=raw"),
            "-device".to_owned(),
            format!("nvme,drive=disk,serial=lychgate{nvme}"),
        ]
    }
}

/// Returns the contents: Weyl's sequence, mixed so that its regularity does not show.
fn contents() -> Vec<u8> {
    let mut contents = vec![0; BYTES];
    let mut state = 0_u64;
    for word in contents.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        word.copy_from_slice(&(mixed ^ (mixed >> 32)).to_le_bytes());
    }
    contents
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::{BYTES, Disk, LINE, WRITTEN};

    #[test]
    fn what_the_guest_writes_is_checked_on_the_disk() {
        let directory = env::temp_dir().join(format!("lychgate-disk-{}", process::id()));
        fs::create_dir_all(&directory).unwrap();
        let disk = Disk::create(&directory).unwrap();
        assert_eq!(disk, Disk::create(&directory).unwrap(), "it is the same each time");
        assert!(disk.check_written().is_err(), "nothing was written");
        let mut contents = fs::read(&disk.path).unwrap();
        assert_eq!(contents.len(), BYTES);
        for (byte, wanted) in contents[WRITTEN].iter_mut().zip(LINE.iter().cycle()) {
            *byte = *wanted;
        }
        fs::write(&disk.path, &contents).unwrap();
        disk.check_written().unwrap();
        contents[WRITTEN.end] ^= 1;
        fs::write(&disk.path, &contents).unwrap();
        assert!(disk.check_written().is_err(), "something else was written");
        fs::remove_dir_all(&directory).unwrap();
    }
}
