// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that load, and files that say why they do not.

use super::{Elf, Error, Segment};
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

/// An ELF64 file of one segment at 1 MiB (16 file bytes, 32 in memory) and one note segment.
pub(crate) fn file(notes: &[u8]) -> Vec<u8> {
    let mut elf = vec![0; 64 + 2 * 56];
    elf[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    put(&mut elf, 18, &62u16.to_le_bytes());
    put(&mut elf, 24, &0x10_0000u64.to_le_bytes());
    put(&mut elf, 32, &64u64.to_le_bytes());
    put(&mut elf, 54, &56u16.to_le_bytes());
    put(&mut elf, 56, &2u16.to_le_bytes());
    let length = notes.len() as u64;
    program_header(&mut elf, 0, [1, 176, 0x10_0000, 16, 32]);
    program_header(&mut elf, 1, [4, 192, 0, length, length]);
    elf.extend([0xaa; 16]);
    elf.extend(notes);
    elf
}

/// The same as an ELF32 file, without notes.
pub(crate) fn file_32() -> Vec<u8> {
    let mut elf = vec![0; 52 + 32];
    elf[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1, 1]);
    put(&mut elf, 18, &3u16.to_le_bytes());
    put(&mut elf, 24, &0xc010_0008u32.to_le_bytes());
    put(&mut elf, 28, &52u32.to_le_bytes());
    put(&mut elf, 42, &32u16.to_le_bytes());
    put(&mut elf, 44, &1u16.to_le_bytes());
    for (field, value) in [1u32, 84, 0xc010_0000, 0x10_0000, 16, 32].into_iter().enumerate() {
        put(&mut elf, 52 + 4 * field, &value.to_le_bytes());
    }
    elf.extend([0xbb; 16]);
    elf
}

pub(crate) fn note(owner: &[u8; 4], kind: u32, value: &[u8]) -> Vec<u8> {
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
fn a_file_of_either_class_says_what_goes_where() {
    let elf = file(&[]);
    let elf = Elf::parse(&elf).unwrap();
    let wanted = Segment { bytes: &[0xaa; 16], gpa: 0x10_0000, size: 32 };
    assert_eq!((elf.entry(), elf.segments().collect::<Vec<_>>()), (0x10_0000, vec![wanted]));
    let elf = file_32();
    let elf = Elf::parse(&elf).unwrap();
    let wanted = Segment { bytes: &[0xbb; 16], gpa: 0x10_0000, size: 32 };
    assert_eq!((elf.entry(), elf.segments().collect::<Vec<_>>()), (0x10_0008, vec![wanted]));
}

#[test]
fn a_file_of_another_kind_is_refused() {
    assert_eq!(Elf::parse(b""), Err(Error::NotElf));
    for (offset, value) in [(4, 1), (4, 3), (5, 2), (18, 3), (18, 183), (0, b'E')] {
        let mut elf = file(&[]);
        elf[offset] = value;
        assert_eq!(Elf::parse(&elf), Err(Error::NotElf), "{value} at {offset}");
    }
}

#[test]
fn a_segment_must_lie_in_the_file_and_make_sense() {
    let mut elf = file(&[]);
    program_header(&mut elf, 0, [1, 176, 0x10_0000, 1 << 40, 1 << 41]);
    assert_eq!(Elf::parse(&elf), Err(Error::Truncated));
    program_header(&mut elf, 0, [1, u64::MAX, 0x10_0000, 2, 2]);
    assert_eq!(Elf::parse(&elf), Err(Error::Truncated));
    program_header(&mut elf, 0, [1, 176, u64::MAX - 4, 16, 32]);
    assert_eq!(Elf::parse(&elf), Err(Error::Segment(u64::MAX - 4)));
    program_header(&mut elf, 0, [1, 176, 0x10_0000, 16, 8]);
    assert_eq!(Elf::parse(&elf), Err(Error::Segment(0x10_0000)));
    program_header(&mut elf, 0, [0, 176, 0x10_0000, 16, 16]);
    assert_eq!(Elf::parse(&elf), Err(Error::Empty));
}

#[test]
fn program_headers_are_bounded() {
    let mut elf = file(&[]);
    put(&mut elf, 56, &33u16.to_le_bytes());
    assert_eq!(Elf::parse(&elf), Err(Error::Headers));
    put(&mut elf, 56, &2u16.to_le_bytes());
    put(&mut elf, 54, &32u16.to_le_bytes());
    assert_eq!(Elf::parse(&elf), Err(Error::Headers));
    put(&mut elf, 54, &56u16.to_le_bytes());
    put(&mut elf, 32, &u64::MAX.to_le_bytes());
    assert_eq!(Elf::parse(&elf), Err(Error::Truncated));
}

#[test]
fn a_note_is_found_behind_others() {
    let notes = [note(b"GNU\0", 3, &[]), note(b"Xen\0", 6, b"ab\0\0"), note(b"Xen\0", 18, b"wxyz")];
    let elf = file(&notes.concat());
    let elf = Elf::parse(&elf).unwrap();
    assert_eq!(elf.note(b"Xen\0", 18), Some(&b"wxyz"[..]));
    assert_eq!(elf.note(b"Xen\0", 17), None);
}

#[test]
fn notes_aligned_to_eight_are_stepped_over() {
    let mut first = note(b"GNU\0", 5, &[1; 4]);
    first.extend([0; 4]);
    let mut elf = file(&[first, note(b"Xen\0", 18, b"wxyz")].concat());
    put(&mut elf, 64 + 56 + 48, &8u64.to_le_bytes());
    assert_eq!(Elf::parse(&elf).unwrap().note(b"Xen\0", 18), Some(&b"wxyz"[..]));
}

#[test]
fn a_note_whose_size_lies_ends_the_search() {
    let mut lying = note(b"GNU\0", 5, &[]);
    lying[4..8].fill(0xff);
    let elf = file(&[lying, note(b"Xen\0", 18, b"wxyz")].concat());
    assert_eq!(Elf::parse(&elf).unwrap().note(b"Xen\0", 18), None);
}

proptest! {
    #[test]
    fn no_file_is_trusted(
        changes in prop::collection::vec((0usize..256, any::<u8>()), 0..24),
        wide in any::<bool>(),
        cut in 0usize..256,
    ) {
        let notes = note(b"Xen\0", 18, &0x10_0004u32.to_le_bytes());
        let mut elf = if wide { file(&notes) } else { file_32() };
        for (at, value) in changes {
            if let Some(byte) = elf.get_mut(at) {
                *byte = value;
            }
        }
        elf.truncate(elf.len().saturating_sub(cut.saturating_sub(200)));
        if let Ok(parsed) = Elf::parse(&elf) {
            prop_assert!(parsed.segments().count() > 0);
            for segment in parsed.segments() {
                prop_assert!(segment.bytes.len() as u64 <= segment.size);
            }
            let _ = crate::pvh::entry(&parsed);
        }
    }
}
