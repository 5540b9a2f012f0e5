// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images put together from hand-made parts.

use tdvf::{
    Section, parse,
    payload::{Directory, Extent, GuestKind},
};

use super::{Contents, DIRECTORY, FLOOR, Image, TOP, WINDOW, guest_of, lay_out, offset, window};
use crate::{
    Result,
    guest::{Guest, test_elf as elf},
};

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

/// A guest whose kernel is small enough for the image, with `own_end` of RAM to itself.
fn guest(kind: GuestKind, kernel: Vec<u8>, initrd: Option<Vec<u8>>) -> Guest {
    Guest {
        kind,
        kernel,
        initrd,
        own_end: 0x100_1000,
        initrd_limit: 0x8000_0000,
        longest_command_line: 100,
        paravisor_words: "",
        linux_version: None,
    }
}

fn image_of(guest: Option<&Guest>) -> Result<Image> {
    let window = vec![0; offset(TOP - WINDOW).unwrap()];
    let contents = Contents { command_line: b"log=info -- count=1", guest, aml_vm: &[9; 4097] };
    lay_out(&window, &contents, None)
}

/// The bytes that a TD started from the image has at an address.
fn at(image: &Image, address: u64, length: u64) -> Vec<u8> {
    let image = parse(&image.bytes).unwrap();
    let covers = |section: &&Section| {
        let start = section.memory_address();
        start <= address && address + length <= start + section.memory_size()
    };
    let section = image.sections().iter().find(covers).unwrap();
    assert!(section.measured());
    let start = offset(address - section.memory_address()).unwrap();
    image.data(section)[start..start + offset(length).unwrap()].to_vec()
}

fn directory(image: &Image) -> Directory {
    Directory::decode(&at(image, DIRECTORY, 4096)).unwrap()
}

#[test]
fn the_directory_leads_to_command_line_and_guest() {
    let image = image_of(Some(&guest(GuestKind::Elf, vec![7; 5000], None))).unwrap();
    assert_eq!(image.bytes.len() % 0x1_0000, 0);
    assert_eq!(parse(&image.bytes).unwrap().sections().len(), 2);
    let directory = directory(&image);
    let (line, guest) = (directory.command_line, directory.guest.unwrap());
    assert_eq!(at(&image, line.address, line.length), b"log=info -- count=1");
    let aml_vm = directory.aml_vm.unwrap();
    assert_eq!(at(&image, aml_vm.address, aml_vm.length), [9; 4097]);
    assert_eq!(at(&image, guest.kernel.address, guest.kernel.length), [7; 5000]);
    assert_eq!((guest.kind, guest.initrd), (GuestKind::Elf, None));
    assert_eq!(image.least_memory, 40);
}

#[test]
fn linux_and_every_initrd_are_in_ram_behind_what_the_kernel_uses() {
    let linux = guest(GuestKind::Linux, vec![7; 5000], Some(vec![8; 3]));
    let image = image_of(Some(&linux)).unwrap();
    assert_eq!(image.bytes.len() % 0x1_0000, 0);
    let placed = directory(&image).guest.unwrap();
    assert_eq!(placed.kernel, Extent { address: 0x120_0000, length: 5000 });
    assert_eq!(placed.initrd, Some(Extent { address: 0x120_2000, length: 3 }));
    assert_eq!(at(&image, 0x120_0000, 5001), [&[7; 5000][..], &[0]].concat());
    assert_eq!(at(&image, 0x120_2000, 4), [8, 8, 8, 0]);
    let sections = parse(&image.bytes).unwrap().sections();
    assert_eq!(sections.len(), 4);
    let found = guest_of(&parse(&image.bytes).unwrap());
    assert_eq!(found, Some(placed));
    assert_eq!(image.least_memory, 42, "0x120_3000, 22 MiB, and up to 2 MiB");
    let elf = guest(GuestKind::Elf, vec![7; 5000], Some(vec![8; 3]));
    let placed = directory(&image_of(Some(&elf)).unwrap()).guest.unwrap();
    assert!(placed.kernel.in_image());
    assert_eq!(placed.initrd, Some(Extent { address: 0x120_0000, length: 3 }));
}

#[test]
fn what_no_loader_would_map_below_4_gib_is_in_ram() {
    let most = offset(DIRECTORY - FLOOR).unwrap() - 3 * 4096;
    let place = |length: usize| {
        let guest = guest(GuestKind::Elf, vec![1; length], None);
        directory(&image_of(Some(&guest)).unwrap()).guest.unwrap().kernel
    };
    assert!(place(most).in_image());
    assert_eq!(place(most + 1).address, 0x120_0000);
}

#[test]
fn nothing_is_put_where_the_host_writes() {
    let mut small = guest(GuestKind::Elf, vec![7; 10], Some(vec![8; 3]));
    small.own_end = 0x10_0000;
    let placed = directory(&image_of(Some(&small)).unwrap()).guest.unwrap();
    assert_eq!(placed.initrd.unwrap().address, 0xa0_0000);
}

#[test]
fn what_does_not_fit_is_refused_with_figures() {
    let mut linux = guest(GuestKind::Linux, vec![7; 5000], Some(vec![8; 0x2000]));
    linux.initrd_limit = 0x120_3000;
    let failure = image_of(Some(&linux)).unwrap_err().to_string();
    assert!(failure.contains("initrd of 8192 bytes") && failure.contains("0x1203000"), "{failure}");
    linux.own_end = u64::from(u32::MAX);
    let failure = image_of(Some(&linux)).unwrap_err().to_string();
    assert!(failure.contains("kernel of 5000 bytes"), "{failure}");
}
