// SPDX-License-Identifier: MIT OR Apache-2.0
//! What L1 reads before there is an L2: the host's hand-off blocks, and the measured files.
//!
//! The first byte of an input says which it is; the rest is the file. Hand-off blocks are the host's word about
//! memory. Kernels are measured, so a mistake in one is no attack, but it must be told and not carried out.

use core::ops::Range;

use paravisor::{
    kernel::{self, Protocol},
    linux::{boot_params, setup_header::SetupHeader},
    memory_map::MemoryMap,
    segment::Room,
};
use tdvf::{
    hob::{self, ResourceType},
    payload::{Directory, GuestKind},
};

/// Where hand-off blocks stand.
const BASE: u64 = 0x80_9000;
const RAM: u64 = 512 << 20;

/// Reads the input as one of the files.
pub fn run(input: &[u8]) {
    let Some((choice, file)) = input.split_first() else { return };
    match choice & 7 {
        0 | 1 => hand_off(file),
        2 => directory(file),
        3 => linux(file),
        4 => kernel(file, None),
        5 => kernel(file, Some(Protocol::Pvh)),
        6 => kernel(file, Some(Protocol::Multiboot)),
        _ => image(file),
    }
}

/// A list that is accepted is in order, and what L1 and L2 get is memory that it names.
fn hand_off(file: &[u8]) {
    let list = match hob::read(file, BASE) {
        Ok(list) => list,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let mut end = 0;
    let mut ram = Vec::new();
    for range in list.ranges() {
        assert!(range.length != 0 && range.start >= end, "{range:?} after {end:#x}");
        end = range.start.checked_add(range.length).expect("it does not go round");
        if matches!(range.kind, ResourceType::SYSTEM_MEMORY | ResourceType::MEMORY_UNACCEPTED) {
            ram.push(range.start..end);
        }
    }
    let Ok(map) = MemoryMap::from_ranges(list.ranges()) else { return };
    let (guest, own) = (map.guest(), map.own());
    assert!(guest.start == 0 && guest.end == own.start && guest.end < own.end);
    assert!(own.end <= 0xc000_0000 && own.end.is_multiple_of(2 << 20));
    let covered = ram.iter().fold(0, |to, range| if range.start <= to { range.end } else { to });
    assert!(own.end <= covered, "memory that the list does not name");
}

/// What a directory points at is in the image or can be in RAM.
fn directory(file: &[u8]) {
    let Ok(directory) = Directory::decode(file) else { return };
    assert!(directory.command_line.in_image());
    let Some(guest) = directory.guest else { return };
    let parts = [Some(guest.kernel), guest.initrd];
    for part in parts.into_iter().flatten() {
        assert!(part.in_image() || part.in_ram());
        let end = part.address.checked_add(part.length).expect("it does not go round");
        assert!(!part.in_ram() || end <= guest.ram_end());
    }
    assert!(matches!(guest.kind, GuestKind::Elf | GuestKind::Linux | GuestKind::Multiboot));
    let again = Directory::decode(&directory.encode());
    assert_eq!(again, Ok(directory));
}

/// A setup header that is accepted leads into the file and into memory.
fn linux(file: &[u8]) {
    let length = file.len() as u64 * 16;
    let Ok(header) = SetupHeader::parse(file, length) else { return };
    assert!(header.kernel_at < length && header.bytes.len() <= 0x202 + 255 - 0x1f1);
    assert!(header.preferred.is_multiple_of(2 << 20) && header.preferred != 0);
    let used = header.used(length);
    assert!(used.contains(&header.entry()), "{used:x?}");
    assert!(used.end - used.start >= length - header.kernel_at);
    let memory = [(0, 0xa_0000, 1), (0x10_0000, RAM, 1)];
    let (initrd, acpi_root) = ((0x1_0000_2000, 0x3000), 0xf_0000);
    let told = boot_params::Told { memory: &memory, command_line: 0x5000, initrd, acpi_root };
    let page = boot_params::make(&header, &told).expect("two ranges fit");
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| page[at + byte]));
    assert_eq!([word(0x218), word(0xc0), word(0x21c)], [0x2000, 1, 0x3000], "the RAM disk");
    assert_eq!((page[0x1e8], page[0x210]), (2, 0xff), "the map's length, the loader");
    assert_eq!([word(0x2d0), word(0x2d0 + 8), word(0x2d0 + 20)], [0, 0xa_0000, 0x10_0000]);
}

/// A plan that is made can be carried out: all is in the file, in RAM, and apart.
fn kernel(file: &[u8], protocol: Option<Protocol>) {
    let taken = [0x10_0000..0x10_1000, 0x40_0000..0x80_0000];
    let room = Room { end: RAM, taken: &taken };
    let plan = match kernel::plan(file, &room, protocol) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(protocol.is_none_or(|wanted| wanted == plan.protocol));
    let own = file.as_ptr_range();
    let mut seen: Vec<Range<u64>> = Vec::new();
    for segment in plan.segments() {
        let bytes = segment.bytes.as_ptr_range();
        assert!(segment.bytes.is_empty() || own.start <= bytes.start && bytes.end <= own.end);
        assert!(segment.bytes.len() as u64 <= segment.size);
        let range = segment.range();
        assert!(
            range.end <= RAM && range.start < range.end && range.end - range.start == segment.size
        );
        let apart = |other: &Range<u64>| range.end <= other.start || other.end <= range.start;
        assert!(seen.iter().chain(&taken).all(apart), "{range:x?}");
        assert!(!plan.leaves(&range));
        seen.push(range);
    }
    assert!(seen.iter().any(|range| range.contains(&plan.entry.into())), "{:#x}", plan.entry);
    assert!(taken.iter().all(|range| plan.leaves(range)));
}

/// An image that is accepted has its sections in the file.
fn image(file: &[u8]) {
    let Ok(image) = tdvf::parse(file) else { return };
    for section in image.sections() {
        assert!(image.data(section).len() <= file.len());
        assert!(section.memory_address().checked_add(section.memory_size()).is_some());
    }
}
