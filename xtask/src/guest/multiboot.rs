// SPDX-License-Identifier: MIT OR Apache-2.0
//! The multiboot header: whether there is one, and where its kernel goes if it says so itself.
//!
//! The paravisor reads the header again when it starts the kernel. The two readers share no code, so
//! that a mistake in one of them is seen.
//!
//! Spec: MULTIBOOT "The layout of Multiboot header".

const MAGIC: u32 = 0x1bad_b002;
const MAGIC_2: u32 = 0xe852_50d6;
/// The header says where the kernel goes.
const HAS_ADDRESSES: u32 = 0x1_0000;

/// What counts of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The address behind the kernel in memory, if the header says so.
    pub(super) memory_end: Option<u64>,
}

/// Returns the header of `file`, if it has one in its first 8 KiB.
pub(super) fn header(file: &[u8]) -> Option<Header> {
    let at = (0..8192 - 8).step_by(4).find(|at| {
        let word = |number: usize| word(file, at + 4 * number);
        word(0) == Some(MAGIC)
            && word(1).zip(word(2)).is_some_and(|(flags, checksum)| {
                MAGIC.wrapping_add(flags).wrapping_add(checksum) == 0
            })
    })?;
    if word(file, at + 4)? & HAS_ADDRESSES == 0 {
        return Some(Header { memory_end: None });
    }
    let field = |number: usize| word(file, at + 12 + 4 * number).map(u64::from);
    let [header, load, load_end, bss_end] = [field(0)?, field(1)?, field(2)?, field(3)?];
    // Without an end, all that the file has behind its first loaded byte is loaded.
    let file_end = load.saturating_add(file.len() as u64).saturating_sub(at as u64);
    let file_end = file_end.saturating_add(header.saturating_sub(load));
    let loaded = if load_end == 0 { file_end } else { load_end };
    Some(Header { memory_end: Some(loaded.max(bss_end)) })
}

/// Whether `file` has a header of version 2, in its first 32 KiB.
pub(super) fn is_version_2(file: &[u8]) -> bool {
    (0..32768).step_by(8).any(|at| word(file, at) == Some(MAGIC_2))
}

fn word(file: &[u8], at: usize) -> Option<u32> {
    file.get(at..)?.first_chunk().map(|raw| u32::from_le_bytes(*raw))
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Header, header, is_version_2};

    /// A file of 1 KiB with a header at `at`.
    pub(crate) fn kernel(at: usize, flags: u32, addresses: [u32; 5]) -> Vec<u8> {
        let checksum = 0u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
        let mut file = vec![0; 1024];
        for (number, word) in
            [0x1bad_b002, flags, checksum].into_iter().chain(addresses).enumerate()
        {
            file[at + 4 * number..][..4].copy_from_slice(&word.to_le_bytes());
        }
        file
    }

    #[test]
    fn a_header_says_where_its_kernel_ends() {
        let end = |addresses| header(&kernel(64, 0x1_0003, addresses)).unwrap().memory_end;
        assert_eq!(end([0x10_0040, 0x10_0000, 0x10_0200, 0x20_0000, 0]), Some(0x20_0000));
        assert_eq!(end([0x10_0040, 0x10_0000, 0x10_0200, 0, 0]), Some(0x10_0200));
        assert_eq!(end([0x10_0040, 0x10_0000, 0, 0, 0]), Some(0x10_0400));
        assert_eq!(end([0x10_0000, 0x10_0000, 0, 0, 0]), Some(0x10_03c0));
        assert_eq!(header(&kernel(0, 3, [0; 5])), Some(Header { memory_end: None }));
    }

    #[test]
    fn no_other_file_has_one() {
        assert_eq!(header(b""), None);
        assert_eq!(header(&kernel(2, 3, [0; 5])), None);
        let mut wrong = kernel(0, 3, [0; 5]);
        wrong[4] = 1;
        assert_eq!(header(&wrong), None);
        let mut late = vec![0; 8192 - 8];
        late.extend(kernel(0, 3, [0; 5]));
        assert_eq!(header(&late), None);
    }

    #[test]
    fn version_2_is_told_apart() {
        assert!(is_version_2(&[&[0; 8][..], &0xe852_50d6u32.to_le_bytes()].concat()));
        assert!(!is_version_2(&kernel(0, 3, [0; 5])));
    }
}
