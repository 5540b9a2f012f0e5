// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel is told: its own header back, the memory map, and where the rest lies.
//!
//! All other bytes are zero, which says: no screen, no disks, no firmware.
//!
//! Spec: LINUX "Zero Page", "Details of Header Fields".

use super::setup_header::{HEADER_AT, SetupHeader};

/// Bytes of the boot parameters.
pub const SIZE: usize = 0x1000;

/// What the kernel is told besides its own header.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The memory map: start, end, type.
    pub memory: &'a [(u64, u64, u32)],
    /// The address of the command line.
    pub command_line: u64,
    /// The initial RAM disk: address and length; 0, 0 if there is none.
    pub initrd: (u64, u64),
    /// The address of the ACPI root pointer.
    pub acpi_root: u64,
}

const ACPI_ROOT: usize = 0x70;
const INITRD_HIGH: usize = 0xc0;
const INITRD_LENGTH_HIGH: usize = 0xc4;
const COMMAND_LINE_HIGH: usize = 0xc8;
const MEMORY_ENTRIES: usize = 0x1e8;
const VIDEO_MODE: usize = 0x1fa;
const LOADER: usize = 0x210;
const INITRD: usize = 0x218;
const INITRD_LENGTH: usize = 0x21c;
const COMMAND_LINE: usize = 0x228;
const MEMORY: usize = 0x2d0;
const MEMORY_ENTRY: usize = 20;
const MEMORY_MOST: usize = 128;

/// A loader without a number of its own.
const UNDEFINED_LOADER: u8 = 0xff;
const VIDEO_NORMAL: u16 = 0xffff;

/// Makes the boot parameters. `None` if the memory map is too long.
#[must_use]
pub fn make(header: &SetupHeader<'_>, told: &Told<'_>) -> Option<[u8; SIZE]> {
    let mut page = [0; SIZE];
    if told.memory.len() > MEMORY_MOST {
        return None;
    }
    put(&mut page, HEADER_AT, header.bytes)?;
    put(&mut page, ACPI_ROOT, &told.acpi_root.to_le_bytes())?;
    put(&mut page, VIDEO_MODE, &VIDEO_NORMAL.to_le_bytes())?;
    put(&mut page, LOADER, &[UNDEFINED_LOADER])?;
    put_split(&mut page, (COMMAND_LINE, COMMAND_LINE_HIGH), told.command_line)?;
    put_split(&mut page, (INITRD, INITRD_HIGH), told.initrd.0)?;
    put_split(&mut page, (INITRD_LENGTH, INITRD_LENGTH_HIGH), told.initrd.1)?;
    put(&mut page, MEMORY_ENTRIES, &[u8::try_from(told.memory.len()).ok()?])?;
    let places = (MEMORY..).step_by(MEMORY_ENTRY);
    for (at, (start, end, kind)) in places.zip(told.memory) {
        put(&mut page, at, &start.to_le_bytes())?;
        put(&mut page, at + 8, &(end - start).to_le_bytes())?;
        put(&mut page, at + 16, &kind.to_le_bytes())?;
    }
    Some(page)
}

/// A number whose halves lie apart.
fn put_split(page: &mut [u8; SIZE], (low, high): (usize, usize), value: u64) -> Option<()> {
    let bytes = value.to_le_bytes();
    put(page, low, &bytes[..4])?;
    put(page, high, &bytes[4..])
}

fn put(page: &mut [u8; SIZE], at: usize, bytes: &[u8]) -> Option<()> {
    page.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{Told, make};
    use crate::linux::setup_header::{SetupHeader, tests::head};

    const TOLD: Told<'_> = Told {
        memory: &[(0, 0x9_f000, 1), (0x9_f000, 0x10_0000, 2)],
        command_line: 0x6ff_a000,
        initrd: (0x1_2345_6000, 0x789),
        acpi_root: 0x6ff_0000,
    };

    #[test]
    fn the_kernel_finds_its_header_and_what_it_is_told() {
        let head = head();
        let page = make(&SetupHeader::parse(&head, 0x70_0000).unwrap(), &TOLD).unwrap();
        let number = |at: usize| u32::from_le_bytes(*page[at..].first_chunk().unwrap());
        assert_eq!(&page[0x202..0x206], b"HdrS");
        assert_eq!(page[0x210], 0xff);
        assert_eq!(page[0x211] & 1, 1);
        assert_eq!((number(0x70), number(0x228)), (0x6ff_0000, 0x6ff_a000));
        assert_eq!((number(0x218), number(0xc0), number(0x21c)), (0x2345_6000, 1, 0x789));
        assert_eq!(page[0x1e8], 2);
        assert_eq!((number(0x2d0 + 20), number(0x2d0 + 28)), (0x9_f000, 0x6_1000));
        assert_eq!(number(0x2d0 + 36), 2);
        assert_eq!(number(0x0), 0, "no screen");
    }

    #[test]
    fn a_memory_map_that_is_too_long_is_refused() {
        let head = head();
        let header = SetupHeader::parse(&head, 0x70_0000).unwrap();
        assert!(make(&header, &Told { memory: &[(0, 1, 1); 129], ..TOLD }).is_none());
    }
}
