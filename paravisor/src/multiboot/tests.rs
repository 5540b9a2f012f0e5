// SPDX-License-Identifier: MIT OR Apache-2.0
//! Headers that are found, refused and overlooked.

use super::{Addresses, Error, header};
use crate::segment::Segment;
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

/// A file of `before` bytes, a header of `flags` and `words`, and 64 bytes.
pub(crate) fn file(before: usize, flags: u32, words: &[u32]) -> Vec<u8> {
    let magic = 0x1bad_b002u32;
    let checksum = 0u32.wrapping_sub(magic).wrapping_sub(flags);
    let mut file = vec![0x11; before];
    for word in [magic, flags, checksum].iter().chain(words) {
        file.extend(word.to_le_bytes());
    }
    file.extend([0x22; 64]);
    file
}

#[test]
fn a_header_is_found_in_the_first_8_kib_only() {
    for before in [0, 4, 4096, 8192 - 12] {
        let found = header(&file(before, 3, &[])).map(|found| found.map(|h| h.wants_video));
        assert_eq!(found, Ok(Some(false)), "{before}");
    }
    assert_eq!(header(&file(8192 - 8, 3, &[])), Ok(None));
    assert_eq!(header(&file(6, 3, &[])), Ok(None));
    assert_eq!(header(b""), Ok(None));
}

#[test]
fn a_wrong_checksum_is_no_header() {
    let mut wrong = file(0, 3, &[]);
    wrong[8] ^= 1;
    assert_eq!(header(&wrong), Ok(None));
}

#[test]
fn what_must_be_known_and_is_not_is_refused() {
    assert_eq!(header(&file(0, 1 << 3, &[])), Err(Error::Flags(8)));
    assert_eq!(header(&file(0, 0x8003, &[])), Err(Error::Flags(0x8000)));
    assert!(header(&file(0, 0x8000_0003, &[])).unwrap().is_some());
    assert!(header(&file(0, 7, &[])).unwrap().unwrap().wants_video);
}

#[test]
fn addresses_say_what_goes_where() {
    let words = [0x10_0020, 0x10_0010, 0x10_0050, 0x20_0000, 0x10_0040];
    let file = file(64, 1 << 16, &words);
    let bytes = &file[48..48 + 64];
    let segment = Segment { bytes, gpa: 0x10_0010, size: 0x20_0000 - 0x10_0010 };
    let found = header(&file).unwrap().unwrap();
    assert_eq!(found.addresses, Some(Addresses { segment, entry: 0x10_0040 }));
}

#[test]
fn zero_means_all_of_the_file_and_no_more() {
    let file = file(8, 1 << 16, &[0x10_0000, 0x10_0000, 0, 0, 0x10_0000]);
    let segment = header(&file).unwrap().unwrap().addresses.unwrap().segment;
    assert_eq!((segment.bytes, segment.size), (&file[8..], file.len() as u64 - 8));
}

#[test]
fn addresses_that_contradict_each_other_are_refused() {
    for words in [
        [0x10_0000, 0x10_0004, 0, 0, 0x10_0000],
        [0x10_0010, 0x10_0000, 0, 0, 0x10_0000],
        [0x10_0008, 0x10_0000, 0x10_1000, 0, 0x10_0000],
        [0x10_0008, 0x10_0000, 0xf_0000, 0, 0x10_0000],
        [0x10_0008, 0x10_0000, 0x10_0010, 0x10_000f, 0x10_0000],
        [0x10_0008, 0x10_0000, 0x10_0000, 0, 0x10_0000],
    ] {
        assert_eq!(header(&file(8, 1 << 16, &words)), Err(Error::Addresses), "{words:x?}");
    }
    let mut short = file(8, 1 << 16, &[]);
    short.truncate(8 + 12 + 16);
    assert_eq!(header(&short), Err(Error::Truncated));
}

proptest! {
    #[test]
    fn addresses_never_reach_out_of_the_file(
        before in 0usize..64,
        words in prop::array::uniform5(prop_oneof![any::<u32>(), 0x10_0000u32..0x10_0200]),
    ) {
        let file = file(4 * before, 1 << 16, &words);
        if let Ok(Some(found)) = header(&file) {
            let Segment { bytes, gpa, size } = found.addresses.unwrap().segment;
            prop_assert!(bytes.len() as u64 <= size);
            prop_assert!(gpa + size <= (1 << 32) + file.len() as u64);
        }
    }
}
