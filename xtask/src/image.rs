// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD's image: paravisor, command line and guest in one TDVF file.
//!
//! ```text
//!  4 GiB - size            directory      4 GiB - 2 MiB                                 4 GiB
//!  | guest | command line | zeros | page | the paravisor as linked ... metadata | reset vector |
//! ```
//!
//! One boot firmware volume covers all of it, so the host measures all of it.
//!
//! Spec: TDVF "TDVF Descriptor".

use std::{fs, path::Path};

use object::{Object, ObjectSegment, ObjectSymbol};
use tdvf::{
    PAGE_SIZE, Section,
    payload::{DIRECTORY, Directory, Extent, FLOOR, WINDOW},
    write_metadata,
};

use crate::{Failure, Result, builds::Builds, failure::Context};

/// The end of the address range that firmware is mapped at.
const TOP: u64 = 1 << 32;

/// What loaders want an image's size to be a multiple of.
const GRANULE: u64 = 0x1_0000;

/// Where the host puts its hand-off blocks, and how much room there is.
const TD_HOB: (u64, u64) = (0x80_0000, 0x4000);

/// Virtual CPUs that the paravisor has relay blocks for.
const MAX_VCPUS: u64 = 16;

/// An image in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// The file's contents.
    pub bytes: Vec<u8>,
    /// Where an observer finds the paravisor's relay blocks.
    pub relay_table: Option<RelayTable>,
}

/// Where the paravisor's per-CPU relay blocks are, by its symbol table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayTable {
    /// The address of the first.
    pub address: u64,
    /// The distance from one to the next.
    pub stride: u64,
}

impl Image {
    /// Puts an image together from the programs of `builds` and the command lines of both.
    ///
    /// # Errors
    ///
    /// If a file is not what it should be, or the image would be larger than loaders allow.
    pub fn assemble(builds: &Builds, paravisor: &str, guest: &str) -> Result<Self> {
        let elf = read(&builds.paravisor)?;
        let name = builds.paravisor.display().to_string();
        let window = window(&elf).context(|| name.clone())?;
        let relay_table = relay_table(&elf).context(|| name)?;
        let payload = read(&builds.guest)?;
        let payload = loadable_part(&payload).context(|| builds.guest.display().to_string())?;
        let command_line = format!("{} -- {}", paravisor.trim(), guest.trim());
        Ok(Self { bytes: lay_out(&window, command_line.as_bytes(), &payload)?, relay_table })
    }

    /// Puts the image of the probe together, which has neither command line nor guest.
    ///
    /// # Errors
    ///
    /// If the file is not what it should be.
    pub fn of_probe(builds: &Builds) -> Result<Self> {
        let window =
            window(&read(&builds.probe)?).context(|| builds.probe.display().to_string())?;
        Ok(Self { bytes: lay_out(&window, &[], &[])?, relay_table: None })
    }
}

impl core::fmt::Debug for Image {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (length, relay_table) = (self.bytes.len(), self.relay_table);
        write!(f, "Image {{ length: {length:#x}, relay_table: {relay_table:?} }}")
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).context(|| format!("cannot read {}", path.display()))
}

/// Returns the paravisor's part of the address space, as its segments fill it.
fn window(elf: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(elf).context(|| "not an ELF file".to_owned())?;
    let mut window = vec![0; offset(TOP - WINDOW)?];
    for segment in file.segments() {
        let data = segment.data().context(|| "cannot read a segment".to_owned())?;
        let (address, size) = (segment.address(), segment.size());
        let fits = address >= WINDOW && address.checked_add(size).is_some_and(|end| end <= TOP);
        if !fits {
            return Err(Failure::new(format!(
                "segment {address:#x}+{size:#x} is outside {WINDOW:#x}..{TOP:#x}"
            )));
        }
        let at = offset(address - WINDOW)?;
        window[at..at + data.len()].copy_from_slice(data);
    }
    Ok(window)
}

fn relay_table(elf: &[u8]) -> Result<Option<RelayTable>> {
    let file = object::File::parse(elf).context(|| "not an ELF file".to_owned())?;
    let mut symbols = file.symbols();
    let symbol = symbols.find(|symbol| symbol.name() == Ok("RELAY_TABLE"));
    Ok(symbol
        .map(|symbol| RelayTable { address: symbol.address(), stride: symbol.size() / MAX_VCPUS }))
}

/// Returns what a loader needs of a program: all up to the end of its last segment, without the
/// section table, which would point at what is cut off.
fn loadable_part(elf: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(elf).context(|| "not an ELF file".to_owned())?;
    let end = file.segments().map(|segment| {
        let (start, size) = segment.file_range();
        start.saturating_add(size)
    });
    let end = offset(end.max().unwrap_or(0))?;
    let mut part = elf.get(..end).unwrap_or(elf).to_vec();
    /// `e_shoff`, then `e_shentsize`, `e_shnum` and `e_shstrndx` of the ELF64 header.
    const SECTION_TABLE: [core::ops::Range<usize>; 2] = [0x28..0x30, 0x3a..0x40];
    for field in SECTION_TABLE {
        part.get_mut(field).ok_or_else(|| Failure::new("no ELF header"))?.fill(0);
    }
    Ok(part)
}

fn lay_out(window: &[u8], command_line: &[u8], guest: &[u8]) -> Result<Vec<u8>> {
    let pages = |length: usize| (length.max(1)).next_multiple_of(PAGE_SIZE) as u64;
    let command_line_at = DIRECTORY - pages(command_line.len());
    let guest_at = command_line_at - pages(guest.len());
    let size = (TOP - guest_at).next_multiple_of(GRANULE);
    let base = TOP - size;
    if base < FLOOR {
        return Err(Failure::new(format!(
            "the image would have {size:#x} bytes, of which {:#x} are the guest's; {:#x} is the most",
            guest.len(),
            TOP - FLOOR
        )));
    }
    let directory = Directory {
        command_line: Extent { address: command_line_at, length: command_line.len() as u64 },
        guest: Some(Extent { address: guest_at, length: guest.len() as u64 }),
    };
    let mut image = vec![0; offset(size)?];
    let parts: [(u64, &[u8]); 4] = [
        (guest_at, guest),
        (command_line_at, command_line),
        (DIRECTORY, &directory.encode()),
        (WINDOW, window),
    ];
    for (address, part) in parts {
        let at = offset(address - base)?;
        image[at..at + part.len()].copy_from_slice(part);
    }
    let firmware_size = u32::try_from(size).context(|| "image size".to_owned())?;
    let sections = [Section::bfv(0, base, firmware_size), Section::td_hob(TD_HOB.0, TD_HOB.1)];
    write_metadata(&mut image, &sections).context(|| "cannot finish the image".to_owned())?;
    Ok(image)
}

fn offset(value: u64) -> Result<usize> {
    usize::try_from(value).context(|| format!("{value:#x} does not fit into memory"))
}

#[cfg(test)]
mod tests;
