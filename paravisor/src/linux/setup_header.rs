// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header of a kernel's file: whether it is one that can be started, and what it needs.
//!
//! The file is measured, so a mistake in it is a mistake of whoever built the image: every refusal
//! names its cause.
//!
//! Spec: LINUX "Details of Header Fields".

use core::{fmt, ops::Range};

/// Bytes at the beginning of the file that hold the whole header.
pub const HEAD: usize = 0x400;
/// Where the header begins, in the file as in the boot parameters.
pub const HEADER_AT: usize = 0x1f1;

const BOOT_FLAG: u16 = 0xaa55;
const MAGIC: [u8; 4] = *b"HdrS";
/// The first version that says what memory the kernel needs and whether it is 64-bit.
const OLDEST: u16 = 0x020c;
const LOADED_HIGH: u8 = 1;
const XLF_KERNEL_64: u16 = 1;
const SECTOR: u64 = 512;
const ENTRY_64: u64 = 0x200;
/// Setup code of a file that says 0 sectors.
const DEFAULT_SECTORS: u8 = 4;

/// A kernel that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetupHeader<'a> {
    /// The header's bytes, for the boot parameters.
    pub bytes: &'a [u8],
    /// Offset in the file of the kernel proper, which ends with the file.
    pub kernel_at: u64,
    /// Where the kernel wants to be.
    pub preferred: u64,
    /// Bytes that it uses there before it knows the memory map.
    pub needs: u64,
    /// The longest command line it takes, without the terminating zero.
    pub command_line: u32,
    /// The last address that a byte of the initial RAM disk may have.
    pub initrd_last: u64,
}

/// Why a file is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No boot sector with the mark of a kernel.
    NotLinux,
    /// A boot protocol from before 64-bit entries.
    Version(u16),
    /// It has no 64-bit entry, or wants to be loaded below 1 MiB.
    Not64Bit,
    /// The file ends within the setup code.
    Truncated,
    /// The kernel does not want to be at a whole multiple of 2 MiB above the first megabyte.
    Address(u64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinux => f.write_str("not a Linux kernel (bzImage)"),
            Self::Version(version) => {
                let (major, minor) = (version >> 8, version & 0xff);
                write!(f, "boot protocol {major}.{minor:02} is too old: 2.12 is the first taken")
            }
            Self::Not64Bit => f.write_str("the kernel has no 64-bit entry"),
            Self::Truncated => f.write_str("the kernel's file is truncated"),
            Self::Address(gpa) => write!(f, "the kernel wants to be at {gpa:#x}"),
        }
    }
}

impl core::error::Error for Error {}

impl<'a> SetupHeader<'a> {
    /// Checks the first bytes of a file of `length` bytes; [`HEAD`] of them are enough.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn parse(head: &'a [u8], length: u64) -> Result<Self, Error> {
        let is_linux = word::<2>(head, 0x1fe).map(u16::from_le_bytes) == Some(BOOT_FLAG)
            && word(head, 0x202) == Some(MAGIC);
        if !is_linux {
            return Err(Error::NotLinux);
        }
        let number = |at| word::<4>(head, at).map(u32::from_le_bytes).ok_or(Error::Truncated);
        let version = u16::from_le_bytes(word(head, 0x206).ok_or(Error::Truncated)?);
        if version < OLDEST {
            return Err(Error::Version(version));
        }
        let flags = u16::from_le_bytes(word(head, 0x236).ok_or(Error::Truncated)?);
        let [loaded] = word(head, 0x211).ok_or(Error::Truncated)?;
        if flags & XLF_KERNEL_64 == 0 || loaded & LOADED_HIGH == 0 {
            return Err(Error::Not64Bit);
        }
        let preferred = u64::from_le_bytes(word(head, 0x258).ok_or(Error::Truncated)?);
        if preferred == 0 || !preferred.is_multiple_of(2 << 20) || preferred >> 32 != 0 {
            return Err(Error::Address(preferred));
        }
        let [sectors] = word(head, HEADER_AT).ok_or(Error::Truncated)?;
        let sectors = if sectors == 0 { DEFAULT_SECTORS } else { sectors };
        let kernel_at = (u64::from(sectors) + 1) * SECTOR;
        let [jump] = word(head, 0x201).ok_or(Error::Truncated)?;
        let bytes = head.get(HEADER_AT..0x202 + usize::from(jump)).ok_or(Error::Truncated)?;
        if kernel_at + ENTRY_64 >= length {
            return Err(Error::Truncated);
        }
        Ok(Self {
            bytes,
            kernel_at,
            preferred,
            needs: number(0x260)?.into(),
            command_line: number(0x238)?,
            initrd_last: number(0x22c)?.into(),
        })
    }

    /// Where the kernel starts.
    #[must_use]
    pub const fn entry(&self) -> u64 {
        self.preferred + ENTRY_64
    }

    /// The memory that a file of `length` bytes needs at its preferred address.
    #[must_use]
    pub fn used(&self, length: u64) -> Range<u64> {
        let size = self.needs.max(length.saturating_sub(self.kernel_at));
        self.preferred..self.preferred.saturating_add(size)
    }
}

fn word<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Error, HEAD, SetupHeader};
    use alloc::vec::Vec;

    pub(in crate::linux) fn head() -> Vec<u8> {
        let mut head = alloc::vec![0; HEAD];
        let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x1f1, &[39]);
        put(0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
        put(0x202, b"HdrS\x0f\x02");
        put(0x211, &[1]);
        put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
        put(0x236, &[0x7f, 0]);
        put(0x238, &2047_u32.to_le_bytes());
        put(0x258, &0x100_0000_u64.to_le_bytes());
        put(0x260, &0x337_8000_u32.to_le_bytes());
        head
    }

    fn change(at: usize, bytes: &[u8]) -> Result<u64, Error> {
        let mut head = head();
        head[at..at + bytes.len()].copy_from_slice(bytes);
        SetupHeader::parse(&head, 0x70_0000).map(|header| header.entry())
    }

    #[test]
    fn a_kernel_says_where_it_wants_to_be_and_what_it_needs() {
        let head = head();
        let header = SetupHeader::parse(&head, 0x70_0000).unwrap();
        assert_eq!(header.kernel_at, 40 * 512);
        assert_eq!(header.entry(), 0x100_0200);
        assert_eq!(header.used(0x70_0000), 0x100_0000..0x437_8000);
        assert_eq!(header.used(0x800_0000).end, 0x900_0000 - 40 * 512);
        assert_eq!(header.bytes.len(), 0x202 + 0x6a - 0x1f1);
        assert_eq!((header.command_line, header.initrd_last), (2047, 0x7fff_ffff));
    }

    #[test]
    fn what_is_no_kernel_is_refused_by_its_cause() {
        assert_eq!(SetupHeader::parse(b"\x7fELF", 4), Err(Error::NotLinux));
        assert_eq!(change(0x1fe, &[0, 0]), Err(Error::NotLinux));
        assert_eq!(change(0x202, b"Hdr\0"), Err(Error::NotLinux));
        assert_eq!(change(0x206, &[0x0b, 2]), Err(Error::Version(0x20b)));
        assert_eq!(change(0x236, &[0x7e]), Err(Error::Not64Bit));
        assert_eq!(change(0x211, &[0]), Err(Error::Not64Bit));
        assert_eq!(change(0x258, &[0, 0x10, 0, 1]), Err(Error::Address(0x100_1000)));
        let head = head();
        assert_eq!(SetupHeader::parse(&head, 40 * 512), Err(Error::Truncated));
        assert_eq!(SetupHeader::parse(&head[..0x230], 0x70_0000), Err(Error::Truncated));
    }
}
