// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a CPU needs in memory to start in 64-bit mode: page tables that map 4 GiB to themselves, and
//! segment descriptors.
//!
//! Three pages of L2's memory: root, pointers, descriptors. A CPU uses them until its kernel has its
//! own.
//!
//! Spec: LINUX "64-bit Boot Protocol"; SDM "4-Level Paging", "Segment Descriptors".

/// Bytes of the three pages.
pub const SIZE: usize = 0x3000;
/// Selector of the code segment.
pub const CODE: u16 = 0x10;
/// Selector of the data segment.
pub const DATA: u16 = 0x18;
/// Where the segment descriptors are in the pages.
pub const DESCRIPTORS: u64 = 0x2000;
/// The limit of their table.
pub const DESCRIPTORS_LIMIT: u64 = 0x1f;

const GIB: u64 = 1 << 30;
/// Present, writable, accessed.
const TABLE: u64 = 0x23;
/// As above, dirty, large.
const PAGE: u64 = 0xe3;
/// Base 0, limit 4 GiB; 64-bit code, data.
const LONG_CODE: u64 = 0x00af_9b00_0000_ffff;
const FLAT_DATA: u64 = 0x00cf_9300_0000_ffff;

/// Makes the three pages, which will lie at `gpa`.
#[must_use]
pub fn pages(gpa: u64) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let mut put = |at: usize, value: u64| {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    };
    put(0, (gpa + 0x1000) | TABLE);
    for (gib, at) in (0..4).zip((0x1000..).step_by(8)) {
        put(at, (gib * GIB) | PAGE);
    }
    let descriptors = crate::width::index(DESCRIPTORS);
    put(descriptors + usize::from(CODE), LONG_CODE);
    put(descriptors + usize::from(DATA), FLAT_DATA);
    bytes
}

#[cfg(test)]
mod tests {
    use super::pages;
    use crate::{guest_memory::GuestMemory, page_walk::Paging};

    struct Ram([u8; super::SIZE]);

    impl GuestMemory for Ram {
        fn read(&self, gpa: u64, buffer: &mut [u8]) -> bool {
            let at = usize::try_from(gpa - 0x6f_d000).unwrap();
            let part = self.0.get(at..at + buffer.len());
            part.map(|part| buffer.copy_from_slice(part)).is_some()
        }

        fn write(&mut self, _: u64, _: &[u8]) -> bool {
            false
        }
    }

    #[test]
    fn the_first_four_gigabytes_are_mapped_to_themselves() {
        let ram = Ram(pages(0x6f_d000));
        let paging = Paging { cr0: 0x8001_0031, cr3: 0x6f_d000, cr4: 0x20, efer: 0x500 };
        for gpa in [0, 0x9_9000, 0x123_4567, 0x7fff_ffff, 0xffff_ffff] {
            assert_eq!(paging.translate(&ram, gpa), Some(gpa));
        }
        assert_eq!(paging.translate(&ram, 1 << 32), None);
    }

    #[test]
    fn the_descriptors_are_64_bit_code_and_flat_data() {
        let bytes = pages(0);
        assert_eq!(bytes[0x2010..0x2018], [0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0]);
        assert_eq!(bytes[0x2018..0x2020], [0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0]);
    }
}
