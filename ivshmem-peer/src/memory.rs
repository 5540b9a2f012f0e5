// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared memory as this side sees it: an anonymous file, read and written by system call.
//!
//! QEMU maps the same file into the guest. Reading an aligned word through the file costs a system
//! call but needs no mapping of memory that another program changes, hence no unsafe code. The
//! kernel copies an aligned 32-bit word in one piece.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::layout::SIZE;

/// The file behind BAR 2.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    file: File,
}

impl SharedMemory {
    /// Creates zeroed shared memory.
    pub(crate) fn new() -> io::Result<Self> {
        let file = File::from(memfd_create("ivshmem", MemfdFlags::CLOEXEC)?);
        file.set_len(SIZE)?;
        Ok(Self { file })
    }

    /// Reads the word at `offset`.
    pub(crate) fn read(&self, offset: u64) -> io::Result<u32> {
        let mut word = [0; 4];
        self.file.read_exact_at(&mut word, offset)?;
        Ok(u32::from_le_bytes(word))
    }

    /// Writes the word at `offset`.
    pub(crate) fn write(&self, offset: u64, word: u32) -> io::Result<()> {
        self.file.write_all_at(&word.to_le_bytes(), offset)
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_word_is_read_back() {
        let memory = SharedMemory::new().unwrap();
        assert_eq!(memory.read(0x40).unwrap(), 0);
        memory.write(0x40, 0x1234_5678).unwrap();
        assert_eq!(memory.read(0x40).unwrap(), 0x1234_5678);
        assert!(memory.read(SIZE).is_err());
    }
}
