// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest that an image carries: what its kernel's file is, and which RAM it wants to itself.

/// Linux's own format.
mod bzimage;

/// Executables.
mod elf;

use std::{fs, path::Path};

use tdvf::payload::{GuestKind, RAM_LIMIT};

use crate::{Result, builds::Builds, failure::Context};

/// A guest's files, read and found to be what they should be.
#[derive(Clone, PartialEq, Eq)]
pub struct Guest {
    pub(crate) kind: GuestKind,
    pub(crate) kernel: Vec<u8>,
    pub(crate) initrd: Option<Vec<u8>>,
    /// Where the RAM ends that the kernel uses before it looks at what it was given.
    pub(crate) own_end: u64,
    /// Where an initial RAM disk must end.
    pub(crate) initrd_limit: u64,
    /// The longest command line.
    pub(crate) longest_command_line: usize,
    /// What the paravisor has to know of it.
    pub(crate) paravisor_words: &'static str,
}

impl Guest {
    /// Takes the guest that comes with the project.
    ///
    /// # Errors
    ///
    /// If its file is not what it should be.
    pub fn relay(builds: &Builds) -> Result<Self> {
        let name = builds.guest.display().to_string();
        let guest = Self::elf(&read(&builds.guest)?).context(|| name)?;
        // This guest understands the word; another might take offence.
        Ok(Self { paravisor_words: "tell=shared_bit", ..guest })
    }

    /// Takes a Linux kernel in the format that distributions install, and its initial RAM disk.
    ///
    /// # Errors
    ///
    /// If the file is something else, or too old.
    pub fn linux(kernel: &Path, initrd: Option<Vec<u8>>) -> Result<Self> {
        let bytes = read(kernel)?;
        let header = bzimage::SetupHeader::read(&bytes).context(|| kernel.display().to_string())?;
        Ok(Self {
            kind: GuestKind::Linux,
            own_end: header.own_end(),
            initrd_limit: header.initrd_limit(),
            longest_command_line: header.longest_command_line(),
            paravisor_words: "",
            kernel: bytes,
            initrd,
        })
    }

    fn elf(file: &[u8]) -> Result<Self> {
        let (kernel, own_end) = elf::loadable_part(file)?;
        Ok(Self {
            kind: GuestKind::Elf,
            kernel,
            initrd: None,
            own_end,
            initrd_limit: RAM_LIMIT,
            longest_command_line: usize::MAX,
            paravisor_words: "",
        })
    }
}

impl core::fmt::Debug for Guest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (kind, kernel) = (self.kind, self.kernel.len());
        let initrd = self.initrd.as_ref().map(Vec::len);
        write!(f, "Guest {{ kind: {kind:?}, kernel: {kernel:#x}, initrd: {initrd:?} }}")
    }
}

/// Reads a file that a person may have named.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
pub(crate) use elf::tests::elf as test_elf;
