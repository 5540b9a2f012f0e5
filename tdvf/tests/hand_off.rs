// SPDX-License-Identifier: MIT OR Apache-2.0
//! What host and image hand to the TD: the hand-off block list and the payload directory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail here")]

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use tdvf::{
    hob::{self, Range, ResourceType},
    payload::{self, DIRECTORY, Directory, Extent, FLOOR},
};

const BASE: u64 = 0x80_0000;

fn range(start: u64, length: u64, kind: ResourceType) -> Range {
    Range { start, length, kind }
}

fn ranges() -> [Range; 3] {
    [
        range(0, BASE, ResourceType::MEMORY_UNACCEPTED),
        range(BASE, 0x4000, ResourceType::SYSTEM_MEMORY),
        range(BASE + 0x4000, 0x700_0000, ResourceType::MEMORY_UNACCEPTED),
    ]
}

fn list() -> Vec<u8> {
    let mut page = vec![0xaa; 0x1000];
    let used = hob::write(&mut page, BASE, &ranges()).unwrap();
    assert_eq!(used, 56 + 3 * 48 + 8);
    page
}

#[test]
fn a_written_list_is_read_back() {
    let page = list();
    let read: Vec<_> = hob::read(&page, BASE).unwrap().ranges().collect();
    assert_eq!(read, ranges());
}

#[test]
fn the_blocks_are_laid_out_as_firmware_expects() {
    let page = list();
    let word = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().unwrap());
    assert_eq!(page[..8], [1, 0, 56, 0, 0, 0, 0, 0]);
    assert_eq!(page[8..16], [9, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(word(48), BASE + 208);
    assert_eq!(page[56..64], [3, 0, 48, 0, 0, 0, 0, 0]);
    assert_eq!(word(80), 7 | 7 << 32, "unaccepted; present, initialized and tested");
    assert_eq!((word(88), word(96)), (0, BASE));
    assert_eq!(word(80 + 48), 7 << 32, "added before the start");
    assert_eq!(page[200..208], [0xff, 0xff, 8, 0, 0, 0, 0, 0]);
}

#[test]
fn a_lying_list_is_refused() {
    let broken = |at: usize, value: u8| {
        let mut page = list();
        page[at] = value;
        hob::read(&page, BASE).map(|_| ()).unwrap_err()
    };
    assert_eq!(broken(0, 2), hob::Error::Handoff);
    assert_eq!(broken(8, 8), hob::Error::Handoff);
    assert_eq!(broken(48, 0), hob::Error::End { claimed: BASE });
    assert_eq!(broken(58, 40), hob::Error::Length { at: 56, length: 40 });
    assert_eq!(broken(58, 0), hob::Error::Length { at: 56, length: 0 });
    let overlap = broken(56 + 48 + 32 + 2, 0x7f);
    assert!(matches!(overlap, hob::Error::Range(_)), "{overlap}");
    let short = list();
    assert_eq!(hob::read(&short[..20], BASE).unwrap_err(), hob::Error::Truncated { at: 20 });
    assert_eq!(hob::read(&short[..200], BASE).unwrap_err(), hob::Error::Truncated { at: 200 });
}

#[test]
fn an_unknown_block_is_passed_over() {
    let mut page = list();
    page[56] = 4;
    let read: Vec<_> = hob::read(&page, BASE).unwrap().ranges().collect();
    assert_eq!(read, ranges()[1..]);
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let mut page = [0; 0x1000];
    let [first, second, _] = ranges();
    let refused = hob::write(&mut page, BASE, &[second, first]);
    assert_eq!(refused, Err(hob::Error::Range(first)));
    assert_eq!(
        hob::write(&mut page[..100], BASE, &[first]),
        Err(hob::Error::Truncated { at: 100 })
    );
}

fn directory() -> Directory {
    Directory {
        command_line: Extent { address: DIRECTORY - 0x2000, length: 17 },
        guest: Some(Extent { address: FLOOR, length: 0x1_2345 }),
    }
}

#[test]
fn a_directory_survives_the_round_trip() {
    assert_eq!(Directory::decode(&directory().encode()), Ok(directory()));
    let alone = Directory { guest: None, ..directory() };
    assert_eq!(Directory::decode(&alone.encode()), Ok(alone));
    assert_eq!(&directory().encode()[..12], b"LYCHGATE\x01\0\0\0");
}

#[test]
fn a_directory_points_only_into_the_image_below_it() {
    let refused = |address, length| {
        let extent = Extent { address, length };
        let directory = Directory { command_line: extent, ..directory() };
        assert_eq!(Directory::decode(&directory.encode()), Err(payload::Error::Extent(extent)));
    };
    refused(FLOOR - 0x1000, 1);
    refused(FLOOR + 1, 1);
    refused(DIRECTORY, 1);
    refused(FLOOR, DIRECTORY - FLOOR + 1);
    refused(FLOOR, u64::MAX);
}

#[test]
fn a_page_without_magic_or_of_another_version_is_refused() {
    let mut bytes = directory().encode();
    bytes[8] = 2;
    assert_eq!(Directory::decode(&bytes), Err(payload::Error::Version(2)));
    bytes[0] = 0;
    assert_eq!(Directory::decode(&bytes), Err(payload::Error::Magic(*b"\0YCHGATE")));
    assert_eq!(Directory::decode(&bytes[..47]), Err(payload::Error::Truncated));
}

proptest! {
    #[test]
    fn no_mutated_list_panics_the_reader(
        changes in proptest::collection::vec((0..210usize, any::<u8>()), 1..6),
        length in 0..300usize,
    ) {
        let mut page = list();
        for (at, value) in changes {
            page[at] = value;
        }
        if let Ok(list) = hob::read(&page[..length], BASE) {
            let mut next = 0;
            for range in list.ranges() {
                prop_assert!(range.start >= next);
                next = range.start.checked_add(range.length).unwrap();
            }
        }
    }

    #[test]
    fn any_bytes_are_a_directory_or_an_error(bytes in any::<[u8; 48]>(), good in any::<bool>()) {
        let mut bytes = bytes;
        if good {
            bytes[..16].copy_from_slice(&directory().encode()[..16]);
        }
        if let Ok(directory) = Directory::decode(&bytes) {
            prop_assert_eq!(directory.encode(), bytes);
        }
    }
}
