// SPDX-License-Identifier: MIT OR Apache-2.0
//! Payloads that load, and payloads that say why they do not.

use super::{Error, Segment, plan};
use alloc::{vec, vec::Vec};

const RAM: u64 = 0x0100_0000;

/// An ELF file of one segment at 1 MiB (16 file bytes, 32 in memory) and one note segment.
fn payload() -> Vec<u8> {
    let mut elf = vec![0; 64 + 2 * 56];
    elf[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    put(&mut elf, 18, &62u16.to_le_bytes());
    put(&mut elf, 32, &64u64.to_le_bytes());
    put(&mut elf, 54, &56u16.to_le_bytes());
    put(&mut elf, 56, &2u16.to_le_bytes());
    program_header(&mut elf, 0, [1, 176, 0x10_0000, 16, 32]);
    program_header(&mut elf, 1, [4, 192, 0, 36, 36]);
    elf.extend([0xaa; 16]);
    elf.extend(note(b"GNU\0", 3, &[]));
    elf.extend(note(b"Xen\0", 18, &0x0010_0004u32.to_le_bytes()));
    elf
}

fn note(owner: &[u8; 4], kind: u32, value: &[u8]) -> Vec<u8> {
    let size = u32::try_from(value.len()).unwrap();
    [&4u32.to_le_bytes()[..], &size.to_le_bytes(), &kind.to_le_bytes(), owner, value].concat()
}

fn program_header(elf: &mut [u8], number: usize, [kind, offset, gpa, file, memory]: [u64; 5]) {
    let at = 64 + number * 56;
    put(elf, at, &u32::try_from(kind).unwrap().to_le_bytes());
    for (field, value) in [(8, offset), (24, gpa), (32, file), (40, memory)] {
        put(elf, at + field, &value.to_le_bytes());
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

#[test]
fn a_payload_says_what_goes_where_and_where_to_start() {
    let elf = payload();
    let plan = plan(&elf, RAM).unwrap();
    assert_eq!(plan.entry, 0x10_0004);
    let segments: Vec<_> = plan.segments().collect();
    assert_eq!(segments, [Segment { bytes: &[0xaa; 16], gpa: 0x10_0000, size: 32 }]);
}

#[test]
fn a_file_that_is_no_elf64_is_refused() {
    assert_eq!(plan(b"", RAM), Err(Error::NotElf64));
    let mut elf = payload();
    elf[4] = 1;
    assert_eq!(plan(&elf, RAM), Err(Error::NotElf64));
}

#[test]
fn a_segment_must_lie_in_the_file_and_in_ram() {
    let mut elf = payload();
    program_header(&mut elf, 0, [1, 176, 0x10_0000, 1 << 40, 1 << 41]);
    assert_eq!(plan(&elf, RAM), Err(Error::Truncated));
    program_header(&mut elf, 0, [1, 176, RAM - 16, 16, 32]);
    assert_eq!(plan(&elf, RAM), Err(Error::Segment(RAM - 16)));
    program_header(&mut elf, 0, [1, 176, u64::MAX - 4, 16, 32]);
    assert_eq!(plan(&elf, RAM), Err(Error::Segment(u64::MAX - 4)));
    program_header(&mut elf, 0, [1, 176, 0x10_0000, 16, 8]);
    assert_eq!(plan(&elf, RAM), Err(Error::Segment(0x10_0000)));
}

#[test]
fn an_entry_point_is_needed_and_must_be_loaded() {
    let mut elf = payload();
    program_header(&mut elf, 1, [4, 192, 0, 16, 16]);
    assert_eq!(plan(&elf, RAM), Err(Error::NoPvhNote));
    let mut elf = payload();
    let end = elf.len();
    put(&mut elf, end - 4, &0x20_0000u32.to_le_bytes());
    assert_eq!(plan(&elf, RAM), Err(Error::Entry(0x20_0000)));
}

#[test]
fn counts_are_bounded() {
    let mut elf = payload();
    put(&mut elf, 56, &33u16.to_le_bytes());
    assert_eq!(plan(&elf, RAM), Err(Error::Headers));
    put(&mut elf, 56, &0u16.to_le_bytes());
    assert_eq!(plan(&elf, RAM), Err(Error::Empty));
}

#[test]
fn notes_that_lie_about_their_size_end_the_search() {
    let mut elf = payload();
    put(&mut elf, 192, &u32::MAX.to_le_bytes());
    assert_eq!(plan(&elf, RAM), Err(Error::NoPvhNote));
}

#[test]
fn no_prefix_of_a_payload_panics() {
    let elf = payload();
    for length in 0..elf.len() {
        let _ = plan(&elf[..length], RAM);
    }
}
