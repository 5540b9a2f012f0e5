// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an L2 that starts by PVH finds behind EBX: the start info, version 1, and all it refers to.
//!
//! Spec: PVH "start info structure".

use alloc::vec::Vec;

use zerocopy::{Immutable, IntoBytes, KnownLayout};

use crate::{
    hand_off::{Block, HandOff, TooLong},
    platform_area::Region,
};

const MAGIC: u32 = 0x336e_c578;
const VERSION: u32 = 1;

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Module {
    address: u64,
    size: u64,
    command_line: u64,
    reserved: u64,
}

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct MemoryMapEntry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<StartInfo>() == 56);
const _: () = assert!(size_of::<Module>() == 32);
const _: () = assert!(size_of::<MemoryMapEntry>() == 24);

/// Puts it all into `block` and tells where the start info itself is.
///
/// # Errors
///
/// The command line is too long.
pub fn write(block: &mut Block, hand_off: &HandOff<'_>) -> Result<u64, TooLong> {
    let map: Vec<_> = hand_off.map.iter().map(MemoryMapEntry::from).collect();
    let memory_map = block.append(map.as_slice())?;
    let modules = match hand_off.module {
        Some((address, size)) => {
            block.append(&Module { address, size, command_line: 0, reserved: 0 })?
        }
        None => 0,
    };
    let command_line = block.append_text(hand_off.command_line)?;
    block.append(&StartInfo {
        magic: MAGIC,
        version: VERSION,
        flags: 0,
        module_count: hand_off.module.is_some().into(),
        modules,
        command_line,
        rsdp: hand_off.rsdp,
        memory_map,
        memory_map_entries: u32::try_from(map.len()).map_err(|_| TooLong)?,
        reserved: 0,
    })
}

impl From<&Region> for MemoryMapEntry {
    fn from(region: &Region) -> Self {
        Self {
            address: region.start,
            size: region.end - region.start,
            kind: region.kind.0,
            reserved: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::{
        hand_off::{Block, HandOff, TooLong},
        platform_area::PlatformArea,
    };
    use alloc::{string::String, vec};

    const AREA: PlatformArea = PlatformArea::below(0x700_0000);

    fn word(block: &Block, gpa: u64) -> u64 {
        let at = usize::try_from(gpa - block.gpa()).unwrap();
        u64::from_le_bytes(*block.bytes()[at..].first_chunk().unwrap())
    }

    fn text(block: &Block, gpa: u64, length: usize) -> &[u8] {
        let at = usize::try_from(gpa - block.gpa()).unwrap();
        &block.bytes()[at..at + length]
    }

    #[test]
    fn the_start_info_points_at_map_module_and_command_line() {
        let mut block = Block::new(AREA.boot_information());
        let map = AREA.regions();
        let hand_off = HandOff {
            map: &map,
            rsdp: 0x6ff_0000,
            command_line: "console=ttyS0",
            module: Some((0x200_0000, 0x1234)),
        };
        let info = write(&mut block, &hand_off).unwrap();
        assert_eq!(text(&block, info, 8), [0x78, 0xc5, 0x6e, 0x33, 1, 0, 0, 0]);
        assert_eq!(word(&block, info + 8), 1 << 32);
        let modules = word(&block, info + 16);
        assert_eq!((word(&block, modules), word(&block, modules + 8)), (0x200_0000, 0x1234));
        assert_eq!(text(&block, word(&block, info + 24), 14), b"console=ttyS0\0");
        assert_eq!((word(&block, info + 32), word(&block, info + 48)), (0x6ff_0000, 7));
        let entry = word(&block, info + 40) + 3 * 24;
        let words = [word(&block, entry), word(&block, entry + 8), word(&block, entry + 16)];
        assert_eq!(words, [0x6ff_0000, 0x8000, 3]);
    }

    #[test]
    fn what_there_is_not_is_zero() {
        let mut block = Block::new(AREA.boot_information());
        let hand_off = HandOff { map: &[], rsdp: 0, command_line: "", module: None };
        let info = write(&mut block, &hand_off).unwrap();
        assert_eq!((word(&block, info + 8), word(&block, info + 16)), (0, 0));
        assert_eq!(text(&block, word(&block, info + 24), 1), [0]);
    }

    #[test]
    fn a_command_line_that_does_not_fit_is_refused() {
        let mut block = Block::new(AREA.boot_information());
        let long = String::from_utf8(vec![b'x'; 0x4000]).unwrap();
        let hand_off = HandOff { map: &[], rsdp: 0, command_line: &long, module: None };
        assert_eq!(write(&mut block, &hand_off), Err(TooLong));
    }
}
