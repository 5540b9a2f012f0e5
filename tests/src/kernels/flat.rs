// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our own guest as a file that is no ELF file: what its memory holds at the start, and nothing else.

/// Where the guest lies.
const BASE: u64 = 0x10_0000;

/// Makes the flat file out of the guest's ELF file and lets its multiboot header say where it goes.
pub(super) fn flat(elf: &[u8]) -> Option<Vec<u8>> {
    let mut memory = Vec::new();
    let count = usize::from(elf[56]);
    for header in elf[64..].chunks(56).take(count).filter(|header| header[0] == 1) {
        let word = |at: usize| header[at..].first_chunk().map(|raw| u64::from_le_bytes(*raw));
        let (offset, gpa, size) = (word(8)?, word(24)?, word(32)?);
        let at = usize::try_from(gpa.checked_sub(BASE)?).ok()?;
        let offset = usize::try_from(offset).ok()?;
        let bytes = elf.get(offset..offset + usize::try_from(size).ok()?)?;
        memory.resize(memory.len().max(at + bytes.len()), 0);
        memory[at..at + bytes.len()].copy_from_slice(bytes);
    }
    // The header is the first thing in it: magic, flags, checksum.
    const FLAGS: u32 = 0x1_0003;
    memory.get_mut(4..8)?.copy_from_slice(&FLAGS.to_le_bytes());
    let checksum = 0u32.wrapping_sub(0x1bad_b002).wrapping_sub(FLAGS);
    memory.get_mut(8..12)?.copy_from_slice(&checksum.to_le_bytes());
    Some(memory)
}
