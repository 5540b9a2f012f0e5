// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a file is by its first bytes, for whoever gave the wrong one.

/// What may come where a kernel is wanted.
const KNOWN: [(usize, &[u8], &str); 12] = [
    (0x202, b"HdrS", "a bzImage, which `--guest linux --kernel PATH` takes"),
    (0, b"\x7fELF", "an ELF file, which `--guest PATH` takes"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file"),
    (0, b"\xfd7zXZ", "an xz file: unpack it first"),
    (0, b"BZh", "a bzip2 file: unpack it first"),
    (0, b"070701", "a cpio archive: an initrd?"),
    (0, b"!<arch>\n", "an archive: a Debian package?"),
    (0, b"MZ", "a Windows or EFI executable"),
    (0, b"#!", "a script"),
    (0, b"\x27\x05\x19\x56", "a U-Boot image"),
    (0, b"QFI\xfb", "a disk image"),
];

/// Returns what `file` is, as the end of a sentence.
pub(super) fn description(file: &[u8]) -> &'static str {
    if file.is_empty() {
        return "an empty file";
    }
    let is = |at: usize, magic: &[u8]| file.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let known = KNOWN.iter().find(|(at, magic, _)| is(*at, magic));
    match known {
        Some((.., name)) => name,
        None if file.iter().take(512).all(|byte| byte.is_ascii() && *byte != 0) => "a text",
        None => "a file of unknown kind",
    }
}

#[cfg(test)]
mod tests {
    use super::description;

    #[test]
    fn files_are_called_by_their_names() {
        assert_eq!(description(b""), "an empty file");
        assert_eq!(description(b"hello"), "a text");
        assert_eq!(description(&[0xff; 4096]), "a file of unknown kind");
        assert_eq!(description(b"\x1f\x8b\x08\0"), "a gzip file");
        assert!(description(b"MZ\0\0").contains("EFI"));
    }

    #[test]
    fn a_bzimage_with_an_efi_stub_is_a_bzimage() {
        let mut file = vec![0; 1024];
        file[..2].copy_from_slice(b"MZ");
        file[0x202..0x206].copy_from_slice(b"HdrS");
        assert!(description(&file).starts_with("a bzImage"));
    }
}
