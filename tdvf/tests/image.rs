// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images: what is written is read back, what is wrong is refused by name, nothing panics.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should fail here")]

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use tdvf::{Error, Section, SectionFault, SectionType, parse, write_metadata};

const SIZE: usize = 0x1_0000;
/// Table, then two sections and their header below it, on a multiple of 16.
const SECTIONS: usize = SIZE - 160 + 16;

fn sections() -> [Section; 2] {
    [Section::bfv(0, (1 << 32) - 0x1_0000, 0x1_0000), Section::td_hob(0x80_0000, 0x4000)]
}

fn image() -> Vec<u8> {
    let mut image = vec![0; SIZE];
    image[..5].copy_from_slice(b"hello");
    image[SIZE - 16..SIZE - 14].copy_from_slice(&[0xeb, 0xfe]);
    write_metadata(&mut image, &sections()).unwrap();
    image
}

/// The error of an image in which `bytes` were put at `at`.
fn broken(at: usize, bytes: &[u8]) -> Error {
    let mut image = image();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    parse(&image).unwrap_err()
}

/// The fault of section `index` after `bytes` were put at `field` of it.
fn broken_section(index: usize, field: usize, bytes: &[u8]) -> SectionFault {
    let expected = SECTIONS + 32 * index;
    match broken(expected + field, bytes) {
        Error::Section { index: found, at, fault } => {
            assert_eq!((found, at), (index, expected));
            fault
        }
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = image();
    let image = parse(&bytes).unwrap();
    assert_eq!(image.sections(), sections());
    assert_eq!(image.data(&image.sections()[0]), bytes);
    assert_eq!(image.td_hob().memory_address(), 0x80_0000);
    let pages: Vec<_> = image.pages(image.td_hob()).collect();
    assert_eq!(pages, [0x80_0000, 0x80_1000, 0x80_2000, 0x80_3000].map(|gpa| (gpa, None)));
    let (address, first) = image.pages(&image.sections()[0]).next().unwrap();
    assert_eq!((address, &first.unwrap()[..5]), (0xffff_0000, b"hello".as_slice()));
    assert_eq!(image.pages(&image.sections()[0]).count(), 16);
}

#[test]
fn the_fixed_places_are_those_of_the_format() {
    let image = image();
    let footer = "de82b596b21ff745baeaa366c55a082d";
    let at_end = |distance: usize, length: usize| &image[SIZE - distance..SIZE - distance + length];
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(hex(at_end(48, 16)), footer);
    assert_eq!(at_end(50, 2), 40u16.to_le_bytes());
    assert_eq!(hex(at_end(66, 16)), "35657ae44a989847865e4685a7bf8ec2");
    assert_eq!(at_end(68, 2), 22u16.to_le_bytes());
    assert_eq!(at_end(72, 4), u32::try_from(SIZE - SECTIONS + 16).unwrap().to_le_bytes());
    assert_eq!(at_end(32, 4), u32::try_from(SECTIONS - 16).unwrap().to_le_bytes());
    assert_eq!(&image[SECTIONS - 16..SECTIONS - 12], b"TDVF");
    assert_eq!(hex(&image[SECTIONS - 32..SECTIONS - 16]), "f3f9eae98e16d544a8eb7f4d8738f6ae");
}

#[test]
fn the_table_is_checked() {
    assert_eq!(parse(&[]).unwrap_err(), Error::Truncated { length: 0 });
    assert_eq!(parse(&[0; 49]).unwrap_err(), Error::Truncated { length: 49 });
    assert_eq!(broken(SIZE - 48, &[0]), Error::FooterMissing { at: SIZE - 48 });
    let total = SIZE - 50;
    assert_eq!(broken(total, &[17, 0]), Error::TableLength { at: total, length: 17 });
    assert_eq!(broken(total, &[255, 255]), Error::TableLength { at: total, length: 0xffff });
    assert_eq!(broken(total, &[18, 0]), Error::DescriptorEntryMissing);
    let entry = SIZE - 68;
    assert_eq!(broken(entry, &[17, 0]), Error::EntryLength { at: entry, length: 17 });
    assert_eq!(broken(entry, &[23, 0]), Error::EntryLength { at: entry, length: 23 });
    assert_eq!(broken(entry, &[20, 0]), Error::DescriptorEntrySize { at: entry - 2, length: 2 });
}

#[test]
fn the_descriptor_is_checked() {
    let (distance, at) = (SIZE - 72, SECTIONS - 16);
    let outside = |distance: u32| Error::DescriptorOutside { distance };
    assert_eq!(broken(distance, &[0xff; 4]), outside(u32::MAX));
    assert_eq!(broken(distance, &[0; 4]), outside(0));
    assert_eq!(broken(at, b"X"), Error::Signature { at, found: *b"XDVF" });
    assert_eq!(broken(at + 8, &[2]), Error::Version { at, version: 2 });
    let length = |length, count| Error::DescriptorLength { at, length, count };
    assert_eq!(broken(at + 4, &[79]), length(79, 2));
    assert_eq!(broken(at + 12, &[3]), length(80, 3));
    assert_eq!(broken(at + 12, &[0xff; 4]), length(80, u32::MAX));
    assert_eq!(broken(at + 4, &[48, 0, 0, 0, 1, 0, 0, 0, 1]), Error::TooFewSections { count: 1 });
}

#[test]
fn every_rule_for_sections_has_its_own_error() {
    let unknown = broken_section(1, 24, &[4]);
    assert_eq!(unknown, SectionFault::UnknownType(SectionType(4)));
    let raw = broken_section(0, 4, &[1, 0, 1]);
    assert_eq!(raw, SectionFault::RawLargerThanMemory { raw: 0x1_0001, memory: 0x1_0000 });
    assert_eq!(broken_section(1, 8, &[8]), SectionFault::AddressUnaligned(0x80_0008));
    assert_eq!(broken_section(1, 16, &[8]), SectionFault::SizeUnaligned(0x4008));
    assert_eq!(broken_section(1, 16, &[0; 8]), SectionFault::SizeUnaligned(0));
    let top = [0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(broken_section(1, 8, &top), SectionFault::AddressOverflow);
    assert_eq!(broken_section(0, 4, &[0; 4]), SectionFault::DataMissing);
    let short = broken_section(0, 4, &[0, 0xf0, 0]);
    assert_eq!(short, SectionFault::DataShorterThanMemory { raw: 0xf000, memory: 0x1_0000 });
    let outside = broken_section(0, 0, &[1]);
    assert_eq!(outside, SectionFault::DataOutside { offset: 1, size: 0x1_0000 });
    assert_eq!(broken_section(1, 4, &[9]), SectionFault::DataUnexpected { raw: 9 });
}

#[test]
fn firmware_and_one_hand_off_block_are_mandatory() {
    let kind = |index: usize| SECTIONS + 32 * index + 24;
    assert_eq!(broken(kind(1), &[3]), Error::NoTdHob);
    assert_eq!(broken(kind(0), &[1]), Error::NoBootFirmware);
    let hob = Section::td_hob(0x80_0000, 0x1000);
    let three = [sections()[0], hob, hob];
    assert_eq!(write_metadata(&mut vec![0; SIZE], &three), Err(Error::ManyTdHobs));
}

#[test]
fn the_writer_overwrites_nothing() {
    let mut image = vec![0; SIZE];
    image[SIZE - 40] = 1;
    let refused = write_metadata(&mut image, &sections());
    assert_eq!(refused, Err(Error::MetadataAreaInUse { at: SIZE - 40 }));
    assert_eq!(write_metadata(&mut [0; 64], &sections()), Err(Error::Truncated { length: 64 }));
    let small = write_metadata(&mut vec![0; SIZE / 2], &sections());
    assert!(matches!(small, Err(Error::Section { index: 0, .. })), "{small:?}");
}

fn mutations() -> impl Strategy<Value = Vec<(usize, u8)>> {
    // Mostly in the last 200 bytes, where the metadata is.
    let place = proptest::prop_oneof![9 => SIZE - 200..SIZE, 1 => 0..SIZE];
    proptest::collection::vec((place, any::<u8>()), 1..6)
}

proptest! {
    #[test]
    fn no_mutated_image_panics_the_reader(changes in mutations(), cut in 0..300usize) {
        let mut bytes = image();
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.drain(..cut);
        if let Ok(image) = parse(&bytes) {
            for section in image.sections() {
                prop_assert!(section.memory_size() >= u64::from(section.raw_size()));
                prop_assert_eq!(image.data(section).len() as u64, u64::from(section.raw_size()));
                image.pages(section).take(100).for_each(drop);
            }
        }
    }

    #[test]
    fn no_garbage_panics_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parse(&bytes).is_err());
    }

    #[test]
    fn any_good_sections_survive_the_round_trip(pages in 1..64u32, hob in 1..64u64, at in 0..64u64) {
        let size = pages * 0x1000;
        let mut bytes = vec![0; size as usize];
        let hob = Section::td_hob(at * 0x1000, hob * 0x1000);
        let sections = [hob, Section::bfv(0, (1 << 32) - u64::from(size), size)];
        write_metadata(&mut bytes, &sections).unwrap();
        prop_assert_eq!(parse(&bytes).unwrap().sections(), sections);
    }
}
