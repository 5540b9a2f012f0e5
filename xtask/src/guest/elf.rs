// SPDX-License-Identifier: MIT OR Apache-2.0
//! Executables: what a loader needs of them.

use core::ops::Range;

use object::{
    Endianness, FileKind, elf,
    read::elf::{FileHeader, ProgramHeader},
};

use crate::{Failure, Result, failure::Context};

/// The note that says that a kernel starts by PVH.
const PVH_NOTE: (&[u8], elf::NoteType) = (b"Xen", elf::NoteType(18));

/// Returns all up to the end of the last segment, without the section table, which would point at
/// what is cut off; and the address behind the last segment in memory.
pub(super) fn loadable_part(file: &[u8]) -> Result<(Vec<u8>, u64)> {
    match FileKind::parse(file) {
        // `e_shoff`, then `e_shentsize`, `e_shnum` and `e_shstrndx`.
        Ok(FileKind::Elf64) => {
            part::<elf::FileHeader64<Endianness>>(file, [0x28..0x30, 0x3a..0x40])
        }
        Ok(FileKind::Elf32) => {
            part::<elf::FileHeader32<Endianness>>(file, [0x20..0x24, 0x2e..0x34])
        }
        _ => Err(Failure::new("not an ELF file")),
    }
}

/// Whether a note says that the kernel starts by PVH.
pub(super) fn has_pvh_note(file: &[u8]) -> Result<bool> {
    match FileKind::parse(file) {
        Ok(FileKind::Elf64) => noted::<elf::FileHeader64<Endianness>>(file),
        Ok(FileKind::Elf32) => noted::<elf::FileHeader32<Endianness>>(file),
        _ => Err(Failure::new("not an ELF file")),
    }
}

fn noted<Header: FileHeader<Endian = Endianness>>(file: &[u8]) -> Result<bool> {
    let bad = || "not a complete ELF file".to_owned();
    let header = Header::parse(file).context(bad)?;
    let endian = header.endian().context(bad)?;
    for segment in header.program_headers(endian, file).context(bad)? {
        let Some(mut notes) = segment.notes(endian, file).context(bad)? else { continue };
        while let Some(note) = notes.next().context(bad)? {
            if (note.name(), note.n_type(endian)) == PVH_NOTE {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn part<Header: FileHeader<Endian = Endianness>>(
    file: &[u8],
    section_table: [Range<usize>; 2],
) -> Result<(Vec<u8>, u64)> {
    let bad = || "not a complete ELF file".to_owned();
    let header = Header::parse(file).context(bad)?;
    let endian = header.endian().context(bad)?;
    let headers = header.program_headers(endian, file).context(bad)?;
    let segments = || headers.iter().filter(|segment| segment.p_type(endian) != elf::PT_NULL);
    let file_ends = segments().map(|segment| {
        segment.p_offset(endian).into().saturating_add(segment.p_filesz(endian).into())
    });
    let loaded = segments().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
    let memory_ends = loaded.map(|segment| {
        segment.p_paddr(endian).into().saturating_add(segment.p_memsz(endian).into())
    });
    let memory_end = memory_ends.max().ok_or_else(|| Failure::new("nothing in it is loaded"))?;
    let end = file_ends.max().and_then(|end| usize::try_from(end).ok());
    let mut part = end.and_then(|end| file.get(..end)).unwrap_or(file).to_vec();
    for field in section_table {
        part.get_mut(field).ok_or_else(|| Failure::new(bad()))?.fill(0);
    }
    Ok((part, memory_end))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{has_pvh_note, loadable_part};

    /// An ELF64 file with one segment of `data` at `address`, and bytes that no segment covers.
    pub(crate) fn elf(address: u64, data: &[u8]) -> Vec<u8> {
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

    /// The same with a second program header, of a note segment of `notes`.
    pub(crate) fn noted_elf(notes: &[u8]) -> Vec<u8> {
        let mut file = elf(0x10_0000, b"text");
        file.truncate(0x7c);
        file[0x38] = 2;
        let mut header = vec![0; 56];
        header[0] = 4;
        header[8..16].copy_from_slice(&(0x7cu64 + 56).to_le_bytes());
        header[32..40].copy_from_slice(&(notes.len() as u64).to_le_bytes());
        header[48] = 4;
        file.splice(0x78..0x78, header);
        file[0x48..0x50].copy_from_slice(&(0x78u64 + 56).to_le_bytes());
        file.extend(notes);
        file
    }

    #[test]
    fn a_pvh_note_is_found() {
        let note = b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0\0\0\x10\0";
        assert!(has_pvh_note(&noted_elf(note)).unwrap());
        let mut other = *note;
        other[8] = 17;
        assert!(!has_pvh_note(&noted_elf(&other)).unwrap());
        assert!(!has_pvh_note(&elf(0x10_0000, b"text")).unwrap());
        assert!(has_pvh_note(b"text").is_err());
    }

    #[test]
    fn only_what_is_loaded_is_kept() {
        let file = elf(0x20_0000, b"text");
        let (part, end) = loadable_part(&file).unwrap();
        assert_eq!((part.len(), end), (0x7c, 0x20_000c));
        assert_eq!(part[0x40..], file[0x40..0x7c]);
        assert_eq!(part[0x3a..0x40], [0; 6]);
    }

    #[test]
    fn what_is_no_executable_is_refused() {
        assert!(loadable_part(b"").is_err());
        assert!(loadable_part(&elf(0x20_0000, b"text")[..0x50]).is_err());
        let mut nothing = elf(0x20_0000, b"text");
        nothing[0x40] = 0;
        assert!(loadable_part(&nothing).is_err());
    }
}
