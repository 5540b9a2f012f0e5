// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables of a host like QEMU: files of fw_cfg and a script that says how to put them together.
//!
//! The script is a list of commands of 128 bytes. A file is fetched whole, once, to the next free place of
//! memory that is L1's alone; after that, pointers between files become addresses and checksums are made
//! right, in that copy. Nothing of the host's is read a second time.
//!
//! The host may write what it likes into the script: a command that reaches outside of its file, or that
//! names a file that was not fetched, ends the loading, and there are no tables. What was fetched for a
//! script that turns out to be bad stays in the memory, where nobody looks at it.
//!
//! Spec: QEMU "fw_cfg", `etc/table-loader` (`hw/acpi/bios-linker-loader.c`).

use core::{fmt, ops::Range};

/// How many files a script may have fetched.
const MAX_FILES: usize = 8;

/// How many commands a script may have.
const MAX_COMMANDS: usize = 256;

const COMMAND: usize = 128;
const NAME: usize = 56;

/// Bytes of a name of a file, filled up with zeros.
pub type FileName = [u8; NAME];

/// What is wrong with a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadScript {
    /// It is too long, or is no list of commands.
    Length,
    /// A name has no end.
    Name,
    /// A file is missing, is fetched twice, or is not fetched before it is used.
    File,
    /// There is no room for a file.
    Room,
    /// A command reaches outside of its file.
    Bounds,
    /// A command has a size or an alignment that makes no sense.
    Size,
}

/// Where a file lies.
#[derive(Clone, Debug)]
struct File {
    name: FileName,
    place: Range<usize>,
}

/// Files that were put together.
#[derive(Debug)]
pub struct Loaded<'a> {
    memory: &'a mut [u8],
    /// The address of the memory's first byte, as pointers say it.
    base: u64,
    files: [Option<File>; MAX_FILES],
    used: usize,
}

impl<'a> Loaded<'a> {
    /// Runs a private copy of the script. `base` is the address of a page, where the memory begins, which
    /// is cleared first. `fetch` copies the named file to the beginning of the place it is given, which is
    /// all that is left, and returns the file's length; `None` if there is no such file or it is longer.
    ///
    /// # Errors
    ///
    /// What is wrong first. Then nothing of the memory is to be used.
    pub fn run(
        memory: &'a mut [u8],
        base: u64,
        script: &[u8],
        mut fetch: impl FnMut(&FileName, &mut [u8]) -> Option<usize>,
    ) -> Result<Self, BadScript> {
        let commands = script.chunks_exact(COMMAND);
        if !commands.remainder().is_empty() || commands.len() > MAX_COMMANDS {
            return Err(BadScript::Length);
        }
        // Between files lies nothing that was there before.
        memory.fill(0);
        let files = [const { None }; MAX_FILES];
        let mut loaded = Self { memory, base, files, used: 0 };
        for command in commands {
            let number = u32::from_le_bytes(field(command, 0)?);
            match number {
                1 => loaded.allocate(command, &mut fetch)?,
                2 => loaded.add_pointer(command)?,
                3 => loaded.add_checksum(command)?,
                // Zeros fill the script up. What tells the host of an address is not done: it is for
                // devices that L1 does not have. Neither is what a later host may have invented.
                _ => {}
            }
        }
        Ok(loaded)
    }

    /// Returns the memory as far as files lie in it, and the address of its first byte.
    #[must_use]
    pub fn memory(&self) -> (&[u8], u64) {
        (self.memory.get(..self.used).unwrap_or_default(), self.base)
    }

    /// Returns where a file lies.
    #[must_use]
    pub fn file(&self, name: &[u8]) -> Option<&[u8]> {
        let mut whole = [0; NAME];
        whole.get_mut(..name.len())?.copy_from_slice(name);
        self.memory.get(self.place(&whole)?)
    }

    /// File, alignment; the zone does not matter, for the memory is what it is.
    fn allocate(
        &mut self,
        command: &[u8],
        fetch: &mut impl FnMut(&FileName, &mut [u8]) -> Option<usize>,
    ) -> Result<(), BadScript> {
        let name = name(command, 4)?;
        let align = usize::try_from(u32::from_le_bytes(field(command, 60)?));
        let align = align.ok().filter(|align| align.is_power_of_two() && *align <= 4096);
        let align = align.ok_or(BadScript::Size)?;
        if self.place(&name).is_some() {
            return Err(BadScript::File);
        }
        let start = self.used.next_multiple_of(align);
        let free = self.memory.get_mut(start..).ok_or(BadScript::Room)?;
        let length = fetch(&name, free).ok_or(BadScript::File)?;
        if length > free.len() {
            return Err(BadScript::Room);
        }
        let slot = self.files.iter_mut().find(|file| file.is_none()).ok_or(BadScript::Room)?;
        self.used = start + length;
        *slot = Some(File { name, place: start..self.used });
        Ok(())
    }

    /// Destination, source, offset in the destination, size: what stands there is an offset in the source.
    fn add_pointer(&mut self, command: &[u8]) -> Result<(), BadScript> {
        let (to, of) = (name(command, 4)?, name(command, 60)?);
        let source = self.place(&of).ok_or(BadScript::File)?;
        let base = self.base;
        let offset = u32::from_le_bytes(field(command, 116)?);
        let [size] = field(command, 120)?;
        if !matches!(size, 1 | 2 | 4 | 8) {
            return Err(BadScript::Size);
        }
        let bytes = self.part(&to, offset, size.into())?;
        let mut wide = [0; 8];
        wide.get_mut(..bytes.len()).ok_or(BadScript::Size)?.copy_from_slice(bytes);
        let inside = usize::try_from(u64::from_le_bytes(wide)).map_err(|_| BadScript::Bounds)?;
        if inside >= source.len() {
            return Err(BadScript::Bounds);
        }
        let address = u64::try_from(source.start + inside).map_err(|_| BadScript::Bounds)?;
        let address = base.checked_add(address).ok_or(BadScript::Bounds)?.to_le_bytes();
        let (low, high) = address.split_at_checked(bytes.len()).ok_or(BadScript::Size)?;
        if high.iter().any(|byte| *byte != 0) {
            return Err(BadScript::Size);
        }
        bytes.copy_from_slice(low);
        Ok(())
    }

    /// File, offset of the checksum, start and length of what it is of.
    fn add_checksum(&mut self, command: &[u8]) -> Result<(), BadScript> {
        let name = name(command, 4)?;
        let [at, start, length] =
            [field(command, 60)?, field(command, 64)?, field(command, 68)?].map(u32::from_le_bytes);
        let length = usize::try_from(length).map_err(|_| BadScript::Bounds)?;
        let summed = self.part(&name, start, length)?;
        let sum = summed.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        let checksum = self.part(&name, at, 1)?.first_mut().ok_or(BadScript::Bounds)?;
        *checksum = checksum.wrapping_sub(sum);
        Ok(())
    }

    fn place(&self, name: &FileName) -> Option<Range<usize>> {
        let mut files = self.files.iter().flatten();
        files.find(|file| file.name == *name).map(|file| file.place.clone())
    }

    fn part(
        &mut self,
        name: &FileName,
        offset: u32,
        length: usize,
    ) -> Result<&mut [u8], BadScript> {
        let place = self.place(name).ok_or(BadScript::File)?;
        let file = self.memory.get_mut(place).ok_or(BadScript::Bounds)?;
        let offset = usize::try_from(offset).map_err(|_| BadScript::Bounds)?;
        file.get_mut(offset..).and_then(|rest| rest.get_mut(..length)).ok_or(BadScript::Bounds)
    }
}

/// Reads a name, which has an end and nothing after it.
fn name(command: &[u8], at: usize) -> Result<FileName, BadScript> {
    let name: FileName = field(command, at)?;
    let end = name.iter().position(|byte| *byte == 0).ok_or(BadScript::Name)?;
    let rest = name.get(end..).unwrap_or_default();
    if end == 0 || rest.iter().any(|byte| *byte != 0) { Err(BadScript::Name) } else { Ok(name) }
}

fn field<const N: usize>(command: &[u8], at: usize) -> Result<[u8; N], BadScript> {
    command.get(at..).and_then(|rest| rest.first_chunk().copied()).ok_or(BadScript::Length)
}

impl fmt::Display for BadScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "the script has a wrong length",
            Self::Name => "a file's name has no end",
            Self::File => "a file is missing or there twice",
            Self::Room => "there is no room for a file",
            Self::Bounds => "a command reaches outside of its file",
            Self::Size => "a command has a wrong size",
        })
    }
}

#[cfg(test)]
mod tests;
