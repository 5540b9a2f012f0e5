// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TD's image: paravisor, command line and guest in one TDVF file.
//!
//! ```text
//!  4 GiB - size            directory      4 GiB - 2 MiB                                 4 GiB
//!  | guest | AML's program | command line | page | the paravisor as linked ... metadata | reset vector |
//! ```
//!
//! One boot firmware volume covers all of it, so the host measures all of it. What of the guest is
//! too large for that comes before it in the file, as volumes of their own whose place is in the TD's
//! RAM: the host adds and measures them there.
//!
//! Spec: TDVF "TDVF Descriptor".

/// Where the guest's files are put.
mod placement;

use object::{Object, ObjectSegment, ObjectSymbol};
use tdvf::{
    PAGE_SIZE, Section,
    payload::{self, DIRECTORY, Directory, Extent, FLOOR, WINDOW},
    write_metadata,
};

use self::placement::Placement;
use crate::{
    Failure, Result,
    builds::Builds,
    failure::Context,
    guest::{Guest, loadable, read},
};

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
    /// MiB of memory that the TD needs at least.
    pub least_memory: u32,
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
    /// Puts an image together from the paravisor of `builds`, a guest, and the command lines of both.
    ///
    /// # Errors
    ///
    /// If a file is not what it should be, or something is larger than it may be.
    pub fn assemble(
        builds: &Builds,
        paravisor: &str,
        guest: &Guest,
        guest_line: &str,
    ) -> Result<Self> {
        let elf = read(&builds.paravisor)?;
        let name = builds.paravisor.display().to_string();
        let window = window(&elf).context(|| name.clone())?;
        let relay_table = relay_table(&elf).context(|| name)?;
        let (length, longest) = (guest_line.trim().len(), guest.longest_command_line);
        if length > longest {
            return Err(Failure::new(format!(
                "the guest's command line has {length} bytes; its kernel takes {longest}"
            )));
        }
        let words = guest.paravisor_words;
        let command_line = format!("{} {words} -- {}", paravisor.trim(), guest_line.trim());
        let aml_vm = loadable(&builds.aml_vm)?;
        let contents =
            Contents { command_line: command_line.as_bytes(), guest: Some(guest), aml_vm: &aml_vm };
        lay_out(&window, &contents, relay_table)
    }

    /// Puts the image of the probe together, which has neither command line nor guest.
    ///
    /// # Errors
    ///
    /// If the file is not what it should be.
    pub fn of_probe(builds: &Builds) -> Result<Self> {
        let window =
            window(&read(&builds.probe)?).context(|| builds.probe.display().to_string())?;
        lay_out(&window, &Contents::default(), None)
    }
}

/// Returns what an image's directory says of its guest; `None` if it has none that can be read.
pub(crate) fn guest_of(image: &tdvf::Image<'_>) -> Option<payload::Guest> {
    let holds = |section: &&Section| {
        let end = section.memory_address().saturating_add(section.memory_size());
        (section.memory_address()..end).contains(&DIRECTORY)
    };
    let section = image.sections().iter().find(holds)?;
    let at = usize::try_from(DIRECTORY - section.memory_address()).ok()?;
    Directory::decode(image.data(section).get(at..)?).ok()?.guest
}

impl core::fmt::Debug for Image {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (length, relay_table) = (self.bytes.len(), self.relay_table);
        write!(f, "Image {{ length: {length:#x}, relay_table: {relay_table:?} }}")
    }
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

/// What an image has beside the paravisor.
#[derive(Clone, Copy, Default)]
struct Contents<'a> {
    command_line: &'a [u8],
    guest: Option<&'a Guest>,
    /// The program that runs AML; empty if there is none.
    aml_vm: &'a [u8],
}

fn lay_out(
    window: &[u8],
    contents: &Contents<'_>,
    relay_table: Option<RelayTable>,
) -> Result<Image> {
    let Contents { command_line, guest, aml_vm } = *contents;
    let command_line_at = DIRECTORY - pages(command_line.len());
    let aml_vm_at = command_line_at - aml_vm.len().next_multiple_of(PAGE_SIZE) as u64;
    let placement = guest.map(|guest| Placement::of(guest, aml_vm_at)).transpose()?;
    let lowest = placement.as_ref().map_or(aml_vm_at, |placement| placement.lowest_in_image);
    let size = (TOP - lowest).next_multiple_of(GRANULE);
    let base = TOP - size;
    if base < FLOOR {
        return Err(Failure::new(format!("the command line has {} bytes", command_line.len())));
    }
    let extent = |address, part: &[u8]| Extent { address, length: part.len() as u64 };
    let directory = Directory {
        command_line: extent(command_line_at, command_line),
        guest: placement.as_ref().map(|placement| placement.guest),
        aml_vm: (!aml_vm.is_empty()).then(|| extent(aml_vm_at, aml_vm)),
    };
    let in_ram = placement.as_ref().map_or(&[][..], |placement| &placement.in_ram);
    let before: u64 = in_ram.iter().map(|(_, part)| pages(part.len())).sum();
    let firmware_at = before.next_multiple_of(GRANULE);
    let mut bytes = vec![0; offset(firmware_at + size)?];
    let mut sections = vec![section(firmware_at, base, size)?];
    let mut next = 0;
    for (address, part) in in_ram {
        put(&mut bytes, next, part)?;
        sections.push(section(next, *address, pages(part.len()))?);
        next += pages(part.len());
    }
    sections.push(Section::td_hob(TD_HOB.0, TD_HOB.1));
    let directory = directory.encode();
    let own = [
        (aml_vm_at, aml_vm),
        (command_line_at, command_line),
        (DIRECTORY, &directory),
        (WINDOW, window),
    ];
    let guest = placement.as_ref().and_then(|placement| placement.in_image);
    for (address, part) in own.into_iter().chain(guest) {
        put(&mut bytes, firmware_at + (address - base), part)?;
    }
    write_metadata(&mut bytes, &sections).context(|| "cannot finish the image".to_owned())?;
    let least_memory = placement.map_or(0, |placement| placement.least_memory());
    Ok(Image { bytes, relay_table, least_memory })
}

fn section(at: u64, address: u64, size: u64) -> Result<Section> {
    let number = |value| u32::try_from(value).context(|| "image size".to_owned());
    Ok(Section::bfv(number(at)?, address, number(size)?))
}

fn put(bytes: &mut [u8], at: u64, part: &[u8]) -> Result<()> {
    let at = offset(at)?;
    bytes[at..at + part.len()].copy_from_slice(part);
    Ok(())
}

/// Bytes of the pages that so many bytes take.
fn pages(length: usize) -> u64 {
    length.max(1).next_multiple_of(PAGE_SIZE) as u64
}

fn offset(value: u64) -> Result<usize> {
    usize::try_from(value).context(|| format!("{value:#x} does not fit into memory"))
}

#[cfg(test)]
mod tests;
