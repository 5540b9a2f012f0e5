// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an L2 that starts by multiboot finds behind EBX: the information, and all it refers to.
//!
//! Spec: MULTIBOOT "Boot information format".

use alloc::vec::Vec;
use core::ops::Range;

use zerocopy::{Immutable, IntoBytes, KnownLayout};

use crate::{
    hand_off::{Block, HandOff, TooLong},
    platform_area::{Region, RegionKind},
};

/// What EAX holds at the start.
pub const LOADER_MAGIC: u32 = 0x2bad_b002;

/// Whom the kernel has to thank.
const LOADER_NAME: &str = "Lychgate";

/// What of the information is valid: memory sizes, command line, modules, map, loader's name.
const MEMORY: u32 = 1 << 0;
const COMMAND_LINE: u32 = 1 << 2;
const MODULES: u32 = 1 << 3;
const MEMORY_MAP: u32 = 1 << 6;
const BOOT_LOADER_NAME: u32 = 1 << 9;

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Information {
    flags: u32,
    memory_lower: u32,
    memory_upper: u32,
    boot_device: u32,
    command_line: u32,
    module_count: u32,
    modules: u32,
    symbols: [u32; 4],
    memory_map_length: u32,
    memory_map: u32,
    drives: [u32; 2],
    configuration_table: u32,
    boot_loader_name: u32,
    power_management_table: u32,
    video: [u32; 11],
}

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Module {
    start: u32,
    end: u32,
    text: u32,
    reserved: u32,
}

/// Its size field counts what follows it.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct MemoryMapEntry {
    size: u32,
    address: [u32; 2],
    length: [u32; 2],
    kind: u32,
}

const _: () = assert!(size_of::<Information>() == 116);
const _: () = assert!(size_of::<Module>() == 16);
const _: () = assert!(size_of::<MemoryMapEntry>() == 24);

/// Puts it all into `block` and tells where the information itself is.
///
/// # Errors
///
/// The command line is too long.
pub fn write(block: &mut Block, hand_off: &HandOff<'_>) -> Result<u64, TooLong> {
    let map: Vec<_> = hand_off.map.iter().map(MemoryMapEntry::from).collect();
    let memory_map = narrow(block.append(map.as_slice())?)?;
    let memory_map_length = u32::try_from(size_of_val(map.as_slice())).map_err(|_| TooLong)?;
    let boot_loader_name = narrow(block.append_text(LOADER_NAME)?)?;
    let command_line = narrow(block.append_text(hand_off.command_line)?)?;
    let mut flags = MEMORY | COMMAND_LINE | MEMORY_MAP | BOOT_LOADER_NAME;
    let mut modules = 0;
    if let Some((address, size)) = hand_off.module {
        flags |= MODULES;
        let text = narrow(block.append_text("")?)?;
        let (start, end) = (narrow(address)?, narrow(address.saturating_add(size))?);
        modules = narrow(block.append(&Module { start, end, text, reserved: 0 })?)?;
    }
    block.append(&Information {
        flags,
        memory_lower: kibibytes(&run_from(hand_off.map, 0)),
        memory_upper: kibibytes(&run_from(hand_off.map, 1 << 20)),
        boot_device: 0,
        command_line,
        module_count: hand_off.module.is_some().into(),
        modules,
        symbols: [0; 4],
        memory_map_length,
        memory_map,
        drives: [0; 2],
        configuration_table: 0,
        boot_loader_name,
        power_management_table: 0,
        video: [0; 11],
    })
}

/// Where the BIOS of a PC keeps the size of the memory at 0, in KiB.
///
/// Kernels for PCs look there as well as into the information, and take 0 at its word.
pub const BASE_MEMORY: u64 = 0x413;

/// Where kernels for PCs look for the root pointer of ACPI, for the information has no field for it.
pub const RSDP: u64 = 0xe_0000;

/// The number that belongs to [`BASE_MEMORY`].
#[must_use]
pub fn base_memory(map: &[Region]) -> u16 {
    u16::try_from(kibibytes(&run_from(map, 0))).unwrap_or(0)
}

/// All of L2's memory lies below 4 GiB.
fn narrow(address: u64) -> Result<u32, TooLong> {
    u32::try_from(address).map_err(|_| TooLong)
}

/// The RAM that begins at `start`.
fn run_from(map: &[Region], start: u64) -> Range<u64> {
    let ram = map.iter().find(|region| region.kind == RegionKind::RAM && region.start == start);
    ram.map_or(start..start, |region| region.start..region.end)
}

fn kibibytes(range: &Range<u64>) -> u32 {
    u32::try_from((range.end - range.start) / 1024).unwrap_or(u32::MAX)
}

impl From<&Region> for MemoryMapEntry {
    fn from(region: &Region) -> Self {
        const SIZE: u32 = 20;
        let halves = |number: u64| zerocopy::transmute!(number.to_le_bytes());
        Self {
            size: SIZE,
            address: halves(region.start),
            length: halves(region.end - region.start),
            kind: region.kind.0,
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

    fn word(block: &Block, gpa: u64) -> u32 {
        let at = usize::try_from(gpa - block.gpa()).unwrap();
        u32::from_le_bytes(*block.bytes()[at..].first_chunk().unwrap())
    }

    fn text(block: &Block, gpa: u32, length: usize) -> &[u8] {
        let at = usize::try_from(u64::from(gpa) - block.gpa()).unwrap();
        &block.bytes()[at..at + length]
    }

    fn written(module: Option<(u64, u64)>) -> (Block, u64) {
        let mut block = Block::new(AREA.boot_information());
        let map = AREA.regions();
        let hand_off = HandOff { map: &map, rsdp: 0, command_line: "one two", module };
        let info = write(&mut block, &hand_off).unwrap();
        (block, info)
    }

    #[test]
    fn memory_is_told_twice() {
        let (block, info) = written(None);
        assert_eq!(word(&block, info), 0b10_0100_0101);
        assert_eq!((word(&block, info + 4), word(&block, info + 8)), (636, 0x6ef_0000 / 1024));
        assert_eq!(word(&block, info + 44), 7 * 24);
        let entry = u64::from(word(&block, info + 48)) + 3 * 24;
        let words: [u32; 6] = core::array::from_fn(|n| word(&block, entry + 4 * n as u64));
        assert_eq!(words, [20, 0x6ff_0000, 0, 0x8000, 0, 3]);
    }

    #[test]
    fn the_bios_would_tell_the_same() {
        assert_eq!(super::base_memory(&AREA.regions()), 636);
        assert_eq!(super::base_memory(&[]), 0);
    }

    #[test]
    fn texts_end_with_nul() {
        let (block, info) = written(None);
        assert_eq!(text(&block, word(&block, info + 16), 8), b"one two\0");
        assert_eq!(text(&block, word(&block, info + 64), 9), b"Lychgate\0");
    }

    #[test]
    fn a_module_is_told_by_its_start_and_end() {
        let (block, info) = written(Some((0x200_0000, 0x1234)));
        assert_eq!(word(&block, info), 0b10_0100_1101);
        assert_eq!(word(&block, info + 20), 1);
        let module = u64::from(word(&block, info + 24));
        assert_eq!((word(&block, module), word(&block, module + 4)), (0x200_0000, 0x200_1234));
        assert_eq!(text(&block, word(&block, module + 8), 1), [0]);
    }

    #[test]
    fn a_command_line_that_does_not_fit_is_refused() {
        let mut block = Block::new(AREA.boot_information());
        let long = String::from_utf8(vec![b'x'; 0x4000]).unwrap();
        let hand_off = HandOff { map: &[], rsdp: 0, command_line: &long, module: None };
        assert_eq!(write(&mut block, &hand_off), Err(TooLong));
    }
}
