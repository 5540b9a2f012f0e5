// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images put together from hand-made parts.

use tdvf::{parse, payload::Directory};

use super::{DIRECTORY, FLOOR, TOP, WINDOW, lay_out, loadable_part, offset, window};

/// An ELF64 file with one segment of `data` at `address`, and bytes that no segment covers.
fn elf(address: u64, data: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 0x78];
    file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x10, &[2, 0, 62, 0, 1]);
    put(0x20, &0x40u64.to_le_bytes());
    put(0x34, &[64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    put(0x40, &[1, 0, 0, 0, 7, 0, 0, 0]);
    put(0x48, &0x78u64.to_le_bytes());
    put(0x50, &address.to_le_bytes());
    put(0x58, &address.to_le_bytes());
    put(0x60, &(data.len() as u64).to_le_bytes());
    put(0x68, &(data.len() as u64 + 8).to_le_bytes());
    file.extend_from_slice(data);
    file.extend_from_slice(b"debug information");
    file
}

#[test]
fn segments_land_at_their_addresses_in_the_window() {
    let window = window(&elf(WINDOW + 0x10, b"text")).unwrap();
    assert_eq!(window.len() as u64, TOP - WINDOW);
    assert_eq!(&window[0xf..0x15], b"\0text\0");
}

#[test]
fn a_segment_outside_the_window_is_refused() {
    assert!(window(&elf(WINDOW - 1, b"text")).is_err());
    assert!(window(&elf(TOP - 4, b"text")).is_err(), "its zeros would not fit");
    assert!(window(&elf(u64::MAX, b"text")).is_err());
    assert!(window(b"not an ELF file").is_err());
}

#[test]
fn only_what_is_loaded_of_a_guest_is_kept() {
    let file = elf(0x20_0000, b"text");
    let part = loadable_part(&file).unwrap();
    assert_eq!(part.len(), 0x7c);
    assert_eq!(part[0x40..], file[0x40..0x7c]);
    assert_eq!(part[0x3a..0x40], [0; 6]);
}

#[test]
fn the_directory_leads_to_command_line_and_guest() {
    let window = vec![0; offset(TOP - WINDOW).unwrap()];
    let bytes = lay_out(&window, b"log=info -- count=1", &[7; 5000]).unwrap();
    assert!(parse(&bytes).is_ok());
    assert_eq!(bytes.len() % 0x1_0000, 0);
    let base = TOP - bytes.len() as u64;
    let at = |address: u64, length: u64| {
        let start = offset(address - base).unwrap();
        &bytes[start..start + offset(length).unwrap()]
    };
    let directory = Directory::decode(at(DIRECTORY, 4096)).unwrap();
    let (line, guest) = (directory.command_line, directory.guest.unwrap());
    assert_eq!(at(line.address, line.length), b"log=info -- count=1");
    assert_eq!(at(guest.address, guest.length), [7; 5000]);
}

#[test]
fn an_image_that_no_loader_would_map_is_refused() {
    let window = vec![0; offset(TOP - WINDOW).unwrap()];
    let most = offset(DIRECTORY - FLOOR).unwrap();
    assert!(lay_out(&window, b"", &vec![0; most]).is_err());
    assert!(lay_out(&window, b"", &vec![0; most - 4096]).is_ok());
}
