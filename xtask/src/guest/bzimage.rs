// SPDX-License-Identifier: MIT OR Apache-2.0
//! The setup header of a Linux kernel: what decides where in RAM its files can be put.
//!
//! The paravisor reads the header again when it starts the kernel. The two readers share no code, so
//! that a mistake in one of them is seen.
//!
//! Spec: LINUX "The Real-Mode Kernel Header".

use super::description::description;
use crate::{Failure, Result};

/// The protocol that brought the flags of the 64-bit entry point: 2.12.
const OLDEST: u16 = 0x20c;

/// Bytes up to the end of the last field that is read.
const HEADER_END: usize = 0x264;

/// The file has a 64-bit entry point.
const KERNEL_64: u16 = 1;

/// What counts of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetupHeader {
    pref_address: u64,
    init_size: u32,
    initrd_addr_max: u32,
    cmdline_size: u32,
}

impl SetupHeader {
    /// Reads the header of a kernel's file.
    pub(super) fn read(file: &[u8]) -> Result<Self> {
        let foreign = || Failure::new(format!("not a bzImage but {}", description(file)));
        let magic = file.get(0x202..0x206).ok_or_else(foreign)?;
        if magic != b"HdrS" || word(file, 0x1fe)? != 0xaa55 {
            return Err(foreign());
        }
        let version = word(file, 0x206)?;
        if version < OLDEST {
            let (major, minor) = (version >> 8, version & 0xff);
            return Err(Failure::new(format!(
                "boot protocol {major}.{minor:02} is too old: 2.12 is needed, which Linux 3.8 has"
            )));
        }
        if file.len() < HEADER_END || file.len() <= setup_size(file) {
            return Err(Failure::new("the file is cut off"));
        }
        if word(file, 0x236)? & KERNEL_64 == 0 {
            return Err(Failure::new("a 32-bit kernel, without a 64-bit entry point"));
        }
        let long = |at| Ok(u64::from(double(file, at)?) | u64::from(double(file, at + 4)?) << 32);
        Ok(Self {
            pref_address: long(0x258)?,
            init_size: double(file, 0x260)?,
            initrd_addr_max: double(file, 0x22c)?,
            cmdline_size: double(file, 0x238)?,
        })
    }

    /// Where the RAM ends in which the kernel unpacks itself.
    pub(super) fn own_end(&self) -> u64 {
        self.pref_address.saturating_add(self.init_size.into())
    }

    /// Where the initial RAM disk must end.
    pub(super) fn initrd_limit(&self) -> u64 {
        u64::from(self.initrd_addr_max) + 1
    }

    /// How long a command line may be, without its terminating zero.
    pub(super) fn longest_command_line(&self) -> usize {
        usize::try_from(self.cmdline_size).unwrap_or(usize::MAX)
    }
}

/// Returns which Linux a file with a header is, if it tells: major and minor number.
pub(super) fn version(file: &[u8]) -> Option<(u32, u32)> {
    let at = usize::from(word(file, 0x20e).ok()?).checked_add(0x200)?;
    let text = file.get(at..)?.iter().take(32).take_while(|byte| **byte != 0).copied().collect();
    let text = String::from_utf8(text).ok()?;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Bytes before the part that the 64-bit entry point is in.
fn setup_size(file: &[u8]) -> usize {
    const SECTOR: usize = 512;
    // 0 stands for 4, which was once the only number.
    let sectors = file.get(0x1f1).map_or(0, |sectors| usize::from(*sectors));
    (if sectors == 0 { 4 } else { sectors } + 1) * SECTOR
}

fn word(file: &[u8], at: usize) -> Result<u16> {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map(|bytes| u16::from_le_bytes(*bytes)).ok_or_else(|| Failure::new("the file is cut off"))
}

fn double(file: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from(word(file, at)?) | u32::from(word(file, at + 2)?) << 16)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{SetupHeader, version};

    /// A file like a kernel of `size` bytes, with the figures of a real one.
    pub(crate) fn kernel(size: usize) -> Vec<u8> {
        let mut file = vec![0x90; size];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x1f1, &[39]);
        put(0x1fe, &[0x55, 0xaa]);
        put(0x20e, &0x100u16.to_le_bytes());
        put(0x300, b"6.12.95+deb12-cloud-amd64 (someone@somewhere) #1\0");
        put(0x202, b"HdrS\x0f\x02");
        put(0x22c, &0x7fff_ffffu32.to_le_bytes());
        put(0x236, &0x7fu16.to_le_bytes());
        put(0x238, &2047u32.to_le_bytes());
        put(0x258, &0x100_0000u64.to_le_bytes());
        put(0x260, &0x37d_c000u32.to_le_bytes());
        file
    }

    fn refused(file: &[u8]) -> String {
        SetupHeader::read(file).unwrap_err().to_string()
    }

    #[test]
    fn the_fields_are_where_the_protocol_has_them() {
        let header = SetupHeader::read(&kernel(0x1_0000)).unwrap();
        assert_eq!(header.own_end(), 0x47d_c000);
        assert_eq!(header.initrd_limit(), 0x8000_0000);
        assert_eq!(header.longest_command_line(), 2047);
    }

    #[test]
    fn a_kernel_tells_its_version() {
        assert_eq!(version(&kernel(0x1_0000)), Some((6, 12)));
        let mut silent = kernel(0x1_0000);
        silent[0x300] = b'v';
        assert_eq!(version(&silent), None);
        assert_eq!(version(&silent[..0x220]), None);
    }

    #[test]
    fn what_is_no_kernel_is_called_by_its_name() {
        assert_eq!(refused(b""), "not a bzImage but an empty file");
        assert_eq!(refused(b"hello"), "not a bzImage but a text");
        assert!(refused(&[0xff; 4096]).contains("unknown kind"));
        let mut elf = vec![0; 4096];
        elf[..4].copy_from_slice(b"\x7fELF");
        assert!(refused(&elf).contains("ELF file, which `--guest PATH` takes"));
        elf[..2].copy_from_slice(b"MZ");
        assert!(refused(&elf).contains("EFI"));
    }

    #[test]
    fn a_kernel_that_cannot_be_started_is_refused_with_the_reason() {
        let mut old = kernel(0x1_0000);
        old[0x206] = 0x0b;
        assert!(refused(&old).starts_with("boot protocol 2.11 is too old: 2.12"));
        let mut narrow = kernel(0x1_0000);
        narrow[0x236] = 0x7e;
        assert!(refused(&narrow).contains("32-bit"));
        assert!(refused(&kernel(0x1_0000)[..40 * 512]).contains("cut off"));
        assert!(refused(&kernel(0x1_0000)[..0x220]).contains("cut off"));
    }
}
