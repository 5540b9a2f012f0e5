// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels that say by an ELF note that they start by PVH, and where.
//!
//! Spec: PVH "entry point".

use crate::elf::Elf;

const OWNER: &[u8] = b"Xen\0";
const NOTE_PHYS32_ENTRY: u32 = 18;

/// The 32-bit physical entry point that the note of `elf` names, if there is such a note.
#[must_use]
pub fn entry(elf: &Elf<'_>) -> Option<u64> {
    let value = elf.note(OWNER, NOTE_PHYS32_ENTRY)?;
    match value.len() {
        4 => value.first_chunk().map(|raw| u32::from_le_bytes(*raw).into()),
        8 => value.first_chunk().map(|raw| u64::from_le_bytes(*raw)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::entry;
    use crate::elf::{
        Elf,
        tests::{file, note},
    };

    #[test]
    fn the_entry_may_be_of_32_or_64_bits() {
        let short = file(&note(b"Xen\0", 18, &0x10_0004u32.to_le_bytes()));
        assert_eq!(entry(&Elf::parse(&short).unwrap()), Some(0x10_0004));
        let long = file(&note(b"Xen\0", 18, &0x1_0010_0004u64.to_le_bytes()));
        assert_eq!(entry(&Elf::parse(&long).unwrap()), Some(0x1_0010_0004));
    }

    #[test]
    fn other_notes_do_not_count() {
        for other in [note(b"Xen\0", 5, &[0; 4]), note(b"GNU\0", 18, &[0; 4])] {
            assert_eq!(entry(&Elf::parse(&file(&other)).unwrap()), None);
        }
        let odd = file(&note(b"Xen\0", 18, &[0; 12]));
        assert_eq!(entry(&Elf::parse(&odd).unwrap()), None);
    }
}
