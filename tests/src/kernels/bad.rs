// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that are no kernels, and kernels that cannot be loaded: who is given them says why.

use libtest_mimic::Trial;
use xtask::guest::Guest;
use xtask::machine::{Exit, Scratch};

use crate::bad_guest::{refused, written};
use crate::stand::{Stand, Verdict, ended, said, scenario};

/// A note of owner `Xen` and type 18 that names the entry point 1 MiB.
const PVH_NOTE: &[u8] = b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0\0\0\x10\0";

/// A multiboot header.
const HEADER: &[u32] = &[0x1bad_b002, 3, 0u32.wrapping_sub(0x1bad_b005)];

/// The scenarios of this part.
pub(super) fn scenarios() -> Vec<Trial> {
    let files = [
        ("a_text_is_no_kernel", b"hello".to_vec(), "/file: a text"),
        ("a_program_for_a_system_is_no_kernel", elf(&[(1 << 20, 64)], &[]), "without PVH note"),
        ("an_efi_program_is_no_kernel", b"MZ\x90\0".to_vec(), "a Windows or EFI executable"),
        ("a_damaged_archive_is_no_kernel", b"\x1f\x8b\x08\0".to_vec(), "cannot unpack it"),
        ("a_bzimage_is_sent_on", bzimage(), "which `--guest linux --kernel PATH` takes"),
        ("multiboot_2_is_not_taken_for_1", words(&[0xe852_50d6]), "a multiboot 2 kernel"),
        ("a_flat_kernel_must_say_where_it_goes", words(HEADER), "does not say where it goes"),
        (
            "a_kernel_beyond_memory_is_refused",
            elf(&[(1 << 20, 1 << 30)], PVH_NOTE),
            "the guest needs --memory 1048 at least, not 128",
        ),
    ];
    let files = files.map(|(name, file, why)| {
        scenario(format!("kernels::{name}"), move || refused("@file", &file, why))
    });
    let loads = [
        (
            "a_segment_must_not_reach_into_the_platform_area",
            elf(&[(1 << 20, 64), (0x6be_f000, 0x1001)], PVH_NOTE),
            "",
            "the segment at 0x6bef000 does not fit into L2's RAM",
        ),
        (
            "segments_must_not_overlap",
            elf(&[(1 << 20, 64), ((1 << 20) + 63, 64)], PVH_NOTE),
            "",
            "the segment at 0x10003f wants memory that is taken",
        ),
        (
            "an_entry_point_must_be_loaded",
            elf(&[(2 << 20, 64)], PVH_NOTE),
            "",
            "the entry point 0x100000 lies in no segment",
        ),
        (
            "a_kernel_starts_only_by_what_it_has",
            elf(&[(1 << 20, 64)], PVH_NOTE),
            "entry=multiboot",
            "no multiboot header",
        ),
        (
            "what_a_header_demands_must_be_known",
            words(&[0x1bad_b002, 0x1_0008, 0u32.wrapping_sub(0x1bae_b00a), 0, 0, 0, 0, 0]),
            "",
            "the multiboot header demands what is unknown: 0x8",
        ),
    ];
    let loads = loads.map(|(name, file, option, why)| {
        scenario(format!("kernels::{name}"), move || not_loaded(&file, option, why))
    });
    files.into_iter().chain(loads).collect()
}

/// The paravisor ends the TD with a line that has `why` in it.
fn not_loaded(file: &[u8], option: &str, why: &str) -> Verdict {
    let scratch = Scratch::new().map_err(|failure| failure.to_string())?;
    let path = written(&scratch, "kernel", file)?;
    let guest = Guest::file(&path, None).map_err(|failure| failure.to_string())?;
    Stand::of_guest(1, guest, "").paravisor_option(option).run(|outcome| {
        ended(outcome, &Exit::TD_DIED)?;
        said(outcome, "L1 | error", why)
    })
}

/// An ELF64 file with `segments` of no bytes by address and size, and a note segment.
fn elf(segments: &[(u64, u64)], notes: &[u8]) -> Vec<u8> {
    let count = segments.len() + 1;
    let notes_at = 64 + 56 * count as u64;
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    file[16..21].copy_from_slice(&[2, 0, 62, 0, 1]);
    file[32] = 64;
    file[52] = 64;
    file[54] = 56;
    file[56] = u8::try_from(count).unwrap_or(u8::MAX);
    let mut header = |kind: u64, [offset, gpa, in_file, in_memory]: [u64; 4]| {
        for word in [kind, offset, gpa, gpa, in_file, in_memory, 4] {
            file.extend(word.to_le_bytes());
        }
    };
    for &(gpa, size) in segments {
        header(1, [64, gpa, 0, size]);
    }
    header(4, [notes_at, 0, notes.len() as u64, 0]);
    file.extend(notes);
    file
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What tells that a file is a bzImage.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file
}
