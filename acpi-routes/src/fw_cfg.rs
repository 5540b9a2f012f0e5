// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's configuration device, as far as files are read from it.
//!
//! The host answers each byte as it likes, so a file has no content until it was copied, and its length is
//! what the directory said when it was asked, once.
//!
//! Spec: QEMU "fw_cfg".

use crate::loader::FileName;

/// What says that the device is there.
const SIGNATURE: u16 = 0;
/// The list of files.
const DIRECTORY: u16 = 0x19;

/// How many files are looked through.
const MAX_FILES: u32 = 1024;

/// The bit of [`FEATURES`] for reading by requests in memory.
pub const BY_REQUESTS: u32 = 1 << 1;

/// What says which ways there are to read, by bits of four bytes, the lowest first.
pub const FEATURES: u16 = 1;

/// Bytes of a [`Request`].
pub const REQUEST: usize = 16;

/// The ways to the device.
pub trait Ports {
    /// Selects an item, whose first byte is next.
    fn select(&mut self, item: u16);

    /// Reads the next byte of the selected item.
    fn next(&mut self) -> u8;

    /// Reads the next bytes of the selected item.
    fn fill(&mut self, to: &mut [u8]) {
        to.iter_mut().for_each(|byte| *byte = self.next());
    }
}

/// Asks in memory for the next bytes of the selected item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes.
    pub length: u32,
    /// Where they are wanted.
    pub address: u64,
}

impl Request {
    const READ: u32 = 1 << 1;

    /// Returns it as the device reads it.
    #[must_use]
    pub const fn encode(self) -> [u8; REQUEST] {
        let [a, b, c, d] = Self::READ.to_be_bytes();
        let [e, f, g, h] = self.length.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = self.address.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Whether the device has done a request, given the bytes that are in its place now.
    #[must_use]
    pub fn is_done(bytes: [u8; REQUEST]) -> bool {
        bytes.starts_with(&[0; 4])
    }
}

/// The device.
#[derive(Debug)]
pub struct FwCfg<P> {
    ports: P,
}

/// A file that the device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    item: u16,
    length: u32,
}

impl<P: Ports> FwCfg<P> {
    /// Returns the device, if the ports are its.
    pub fn find(ports: P) -> Option<Self> {
        let mut device = Self { ports };
        device.ports.select(SIGNATURE);
        (device.take() == *b"QEMU").then_some(device)
    }

    /// Finds a file.
    pub fn file(&mut self, name: &FileName) -> Option<File> {
        self.ports.select(DIRECTORY);
        let count = u32::from_be_bytes(self.take());
        for _ in 0..count.min(MAX_FILES) {
            let entry: [u8; 64] = self.take();
            let [l0, l1, l2, l3, i0, i1, _, _, found @ ..] = entry;
            if found == *name {
                let length = u32::from_be_bytes([l0, l1, l2, l3]);
                return Some(File { item: u16::from_be_bytes([i0, i1]), length });
            }
        }
        None
    }

    /// Copies a file to the beginning of `to` and returns its length; `None` if it is longer.
    pub fn read(&mut self, file: File, to: &mut [u8]) -> Option<usize> {
        let length = usize::try_from(file.length).ok()?;
        let to = to.get_mut(..length)?;
        self.ports.select(file.item);
        self.ports.fill(to);
        Some(length)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.ports.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{vec, vec::Vec};

    use super::{FwCfg, Ports, Request};
    use crate::loader::FileName;

    /// Items and their bytes, and what is left of the selected one.
    struct Items(Vec<(u16, Vec<u8>)>, Vec<u8>);

    impl Ports for Items {
        fn select(&mut self, item: u16) {
            let found = self.0.iter().find(|(number, _)| *number == item);
            self.1 =
                found.map(|(_, bytes)| bytes.iter().rev().copied().collect()).unwrap_or_default();
        }

        fn next(&mut self) -> u8 {
            self.1.pop().unwrap_or(0)
        }
    }

    fn name(text: &[u8]) -> FileName {
        let mut name = [0; 56];
        name[..text.len()].copy_from_slice(text);
        name
    }

    /// A device with these files, of which the directory says that there are `count`.
    fn device(count: u32, files: &[(&[u8], &[u8])]) -> Items {
        let mut directory = count.to_be_bytes().to_vec();
        let mut items = vec![(0, b"QEMU".to_vec())];
        for (item, (text, bytes)) in (0x20..).zip(files) {
            directory.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            directory.extend(u16::to_be_bytes(item));
            directory.extend([0; 2]);
            directory.extend(name(text));
            items.push((item, bytes.to_vec()));
        }
        items.push((0x19, directory));
        Items(items, vec![])
    }

    #[test]
    fn a_file_is_found_by_its_whole_name() {
        let items = device(2, &[(b"etc/acpi", b"no"), (b"etc/acpi/rsdp", b"RSD PTR ")]);
        let mut device = FwCfg::find(items).unwrap();
        let file = device.file(&name(b"etc/acpi/rsdp")).unwrap();
        let mut bytes = [0xff; 10];
        assert_eq!(device.read(file, &mut bytes), Some(8));
        assert_eq!(&bytes, b"RSD PTR \xff\xff");
        assert_eq!(device.file(&name(b"etc/acp")), None);
    }

    #[test]
    fn a_file_without_room_is_not_read() {
        let mut device = FwCfg::find(device(1, &[(b"a", b"12345")])).unwrap();
        let file = device.file(&name(b"a")).unwrap();
        let mut bytes = [0; 4];
        assert_eq!(device.read(file, &mut bytes), None);
        assert_eq!(bytes, [0; 4]);
    }

    #[test]
    fn a_directory_without_end_is_left() {
        let mut device = FwCfg::find(device(u32::MAX, &[(b"a", b"1")])).unwrap();
        assert_eq!(device.file(&name(b"b")), None);
    }

    #[test]
    fn a_request_is_big_endian_and_done_if_nothing_is_left_of_it() {
        let request = Request { length: 0x1_0002, address: 0x1234_5678_9abc };
        let bytes = request.encode();
        assert_eq!(bytes, [0, 0, 0, 2, 0, 1, 0, 2, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc]);
        assert!(!Request::is_done(bytes));
        assert!(!Request::is_done([0, 0, 0, 1, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert!(Request::is_done([0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]));
    }

    #[test]
    fn other_ports_are_no_device() {
        assert!(FwCfg::find(Items(vec![(0, b"QEMV".to_vec())], vec![])).is_none());
        assert!(FwCfg::find(Items(vec![], vec![])).is_none());
    }
}
