// SPDX-License-Identifier: MIT OR Apache-2.0
//! What host and image hand to the TD: the hand-off block list and the payload directory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail here")]

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use tdvf::{
    hob::{self, Range, ResourceType},
    payload::{self, DIRECTORY, Directory, Extent, FLOOR, Guest, GuestKind, RAM_LIMIT, RAM_START},
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
        guest: Some(Guest {
            kind: GuestKind::Linux,
            kernel: Extent { address: 0x480_0000, length: 0x1_2345 },
            initrd: Some(Extent { address: 0x481_3000, length: 0x2345 }),
        }),
        aml_vm: Some(Extent { address: DIRECTORY - 0x5000, length: 0x2fff }),
    }
}

/// The directory's guest with another kernel.
fn with_kernel(kind: GuestKind, address: u64, length: u64) -> Directory {
    let kernel = Extent { address, length };
    Directory { guest: Some(Guest { kind, kernel, initrd: None }), ..directory() }
}

#[test]
fn a_directory_survives_the_round_trip() {
    let alone = Directory { guest: None, ..directory() };
    let elf = with_kernel(GuestKind::Elf, FLOOR, 0x1_2345);
    let multiboot = with_kernel(GuestKind::Multiboot, RAM_START, 1);
    let without = Directory { aml_vm: None, ..directory() };
    for directory in [directory(), alone, elf, multiboot, without] {
        assert_eq!(Directory::decode(&directory.encode()), Ok(directory));
    }
    assert_eq!(&directory().encode()[..16], b"LYCHGATE\x03\0\0\0\x02\0\0\0");
    assert_eq!(&elf.encode()[12..16], [1, 0, 0, 0]);
    assert_eq!(&multiboot.encode()[12..16], [3, 0, 0, 0]);
    assert_eq!(&alone.encode()[12..16], [0; 4]);
    assert_eq!(directory().encode()[32..40], 0x480_0000u64.to_le_bytes());
    assert_eq!(directory().encode()[64..72], (DIRECTORY - 0x5000).to_le_bytes());
}

#[test]
fn a_guest_is_in_the_image_or_in_ram() {
    let check = |address, length| {
        let directory = with_kernel(GuestKind::Elf, address, length);
        let decoded = Directory::decode(&directory.encode());
        if decoded == Ok(directory) {
            return true;
        }
        assert_eq!(decoded, Err(payload::Error::Extent(Extent { address, length })));
        false
    };
    for (address, length) in [
        (FLOOR - 0x1000, 1),
        (FLOOR - 0x1000, 0x2000),
        (FLOOR + 1, 1),
        (DIRECTORY, 1),
        (FLOOR, DIRECTORY - FLOOR + 1),
        (FLOOR, u64::MAX),
        (RAM_START - 0x1000, 0x2000),
        (RAM_START + 8, 1),
        (RAM_LIMIT - 0x1000, 0x1001),
        (0, 1),
    ] {
        assert!(!check(address, length), "{address:#x}+{length:#x}");
    }
    assert!(check(FLOOR, DIRECTORY - FLOOR));
    assert!(check(RAM_START, RAM_LIMIT - RAM_START));
}

#[test]
fn the_command_line_is_in_the_image() {
    let command_line = Extent { address: RAM_START, length: 1 };
    let directory = Directory { command_line, ..directory() };
    let refused = Err(payload::Error::Extent(command_line));
    assert_eq!(Directory::decode(&directory.encode()), refused);
}

#[test]
fn the_program_for_aml_is_in_the_image() {
    let aml_vm = Extent { address: RAM_START, length: 1 };
    let directory = Directory { aml_vm: Some(aml_vm), ..directory() };
    let refused = Err(payload::Error::Extent(aml_vm));
    assert_eq!(Directory::decode(&directory.encode()), refused);
}

#[test]
fn only_what_lies_in_ram_asks_for_ram() {
    assert_eq!(directory().guest.unwrap().ram_end(), 0x481_3000 + 0x2345);
    assert_eq!(with_kernel(GuestKind::Elf, FLOOR, 8).guest.unwrap().ram_end(), 0);
}

#[test]
fn a_page_without_magic_or_of_another_version_is_refused() {
    let mut bytes = directory().encode();
    bytes[12] = 4;
    assert_eq!(Directory::decode(&bytes), Err(payload::Error::Kind(4)));
    bytes[12] = 0;
    assert_eq!(Directory::decode(&bytes), Err(payload::Error::NoGuest));
    bytes[8] = 1;
    assert_eq!(Directory::decode(&bytes), Err(payload::Error::Version(1)));
    bytes[0] = 0;
    assert_eq!(Directory::decode(&bytes), Err(payload::Error::Magic(*b"\0YCHGATE")));
    assert_eq!(Directory::decode(&bytes[..79]), Err(payload::Error::Truncated));
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
    fn any_bytes_are_a_directory_or_an_error(bytes in any::<[u8; 80]>(), good in any::<bool>()) {
        let mut bytes = bytes;
        if good {
            bytes[..32].copy_from_slice(&directory().encode()[..32]);
        }
        if let Ok(directory) = Directory::decode(&bytes) {
            prop_assert_eq!(directory.encode(), bytes);
        }
    }
}
