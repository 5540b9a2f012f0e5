// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest that an image carries: what its kernel's file is, and which RAM it wants to itself.

/// What a file is.
mod description;

/// Linux's own format.
mod bzimage;

/// Executables.
mod elf;

/// Kernels with a header of their own.
mod multiboot;

use std::{fs, path::Path};

use tdvf::payload::{GuestKind, RAM_LIMIT};

use crate::{Failure, Result, builds::Builds, failure::Context, unpack};

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
    /// Which Linux it is, if it is one and tells.
    pub(crate) linux_version: Option<(u32, u32)>,
}

/// Returns what is loaded of the executable at `path`.
pub(crate) fn loadable(path: &Path) -> Result<Vec<u8>> {
    let (part, _) = elf::loadable_part(&read(path)?).context(|| path.display().to_string())?;
    Ok(part)
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
            linux_version: bzimage::version(&bytes),
            kernel: bytes,
            initrd,
        })
    }

    /// Takes a kernel that says itself how it starts, by a PVH note or a multiboot header, and its
    /// only module, usually an initial RAM disk. The kernel's file may be compressed.
    ///
    /// # Errors
    ///
    /// If the file is something else; it is called by its name.
    pub fn file(kernel: &Path, module: Option<Vec<u8>>) -> Result<Self> {
        let name = || kernel.display().to_string();
        let file = read(kernel)?;
        let unpacked = unpack::unpack(&file).context(name)?.unwrap_or(file);
        let guest = Self::kernel(unpacked).context(name)?;
        Ok(Self { initrd: module, ..guest })
    }

    /// Takes the kernel that a bzImage has inside, to be started by PVH, and its initial RAM disk.
    ///
    /// # Errors
    ///
    /// If the file is something else, or what is inside has no PVH note.
    pub fn linux_by_pvh(kernel: &Path, initrd: Option<Vec<u8>>) -> Result<Self> {
        let name = || kernel.display().to_string();
        let guest = unpack::vmlinux(&read(kernel)?).and_then(Self::kernel).context(name)?;
        Ok(Self { initrd, ..guest })
    }

    /// Returns the guest with another initial RAM disk.
    #[must_use]
    pub fn with_initrd(self, initrd: Vec<u8>) -> Self {
        Self { initrd: Some(initrd), ..self }
    }

    /// Returns which Linux it is, if it is one and tells.
    #[must_use]
    pub fn linux_version(&self) -> Option<(u32, u32)> {
        self.linux_version
    }

    fn kernel(file: Vec<u8>) -> Result<Self> {
        let header = multiboot::header(&file);
        let is_elf = file.starts_with(b"\x7fELF");
        if is_elf && (header.is_some() || elf::has_pvh_note(&file)?) {
            let guest = Self::elf(&file)?;
            let own_end = header.and_then(|header| header.memory_end).unwrap_or(0);
            return Ok(Self { own_end: guest.own_end.max(own_end), ..guest });
        }
        if let Some(own_end) = header.and_then(|header| header.memory_end) {
            return Ok(Self::by_own_header(GuestKind::Multiboot, file, own_end));
        }
        Err(Failure::new(match header {
            Some(_) => "a multiboot kernel that is no ELF file and does not say where it goes",
            None if multiboot::is_version_2(&file) => {
                "a multiboot 2 kernel; only version 1 can be started"
            }
            None if is_elf => {
                "an ELF file without PVH note or multiboot header: nothing says how it starts"
            }
            None => description::description(&file),
        }))
    }

    fn elf(file: &[u8]) -> Result<Self> {
        let (kernel, own_end) = elf::loadable_part(file)?;
        Ok(Self::by_own_header(GuestKind::Elf, kernel, own_end))
    }

    fn by_own_header(kind: GuestKind, kernel: Vec<u8>, own_end: u64) -> Self {
        Self {
            kind,
            kernel,
            initrd: None,
            own_end,
            initrd_limit: RAM_LIMIT,
            longest_command_line: usize::MAX,
            paravisor_words: "",
            linux_version: None,
        }
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

#[cfg(test)]
mod tests {
    use tdvf::payload::GuestKind;

    use super::{Guest, bzimage, elf::tests::noted_elf, multiboot, test_elf};

    const NOTE: &[u8] = b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0\0\0\x10\0";

    fn refused(file: &[u8]) -> String {
        Guest::kernel(file.to_vec()).unwrap_err().to_string()
    }

    #[test]
    fn kernels_that_say_how_they_start_are_taken() {
        let elf = Guest::kernel(noted_elf(NOTE)).unwrap();
        assert_eq!((elf.kind, elf.own_end), (GuestKind::Elf, 0x10_000c));
        let words = [0x10_0000, 0x10_0000, 0, 0x20_0000, 0x10_0040];
        let flat = Guest::kernel(multiboot::tests::kernel(0, 0x1_0000, words)).unwrap();
        assert_eq!((flat.kind, flat.own_end), (GuestKind::Multiboot, 0x20_0000));
        let mut both = test_elf(0x10_0000, b"text");
        both.resize(0x100, 0);
        both.extend(multiboot::tests::kernel(0, 3, [0; 5]));
        assert_eq!(Guest::kernel(both).unwrap().kind, GuestKind::Elf);
    }

    #[test]
    fn other_files_are_called_by_their_names() {
        assert!(refused(&test_elf(0x10_0000, b"text")).contains("without PVH note"));
        assert!(refused(&multiboot::tests::kernel(0, 3, [0; 5])).contains("where it goes"));
        assert!(refused(&0xe852_50d6u32.to_le_bytes()).contains("multiboot 2"));
        assert!(refused(&bzimage::tests::kernel(0x1_0000)).contains("--guest linux --kernel"));
        assert!(refused(b"\xfd7zXZ\0").contains("an xz file: unpack it first"));
        assert_eq!(refused(b"hello"), "a text");
        assert!(refused(b"\x7fELF").contains("not an ELF file"));
    }
}
