// SPDX-License-Identifier: MIT OR Apache-2.0
//! What came with the paravisor: the command lines and the guest.
//!
//! All of it is measured. The command lines, the program for AML, and a small guest, are in the image, which is mapped
//! read-only. A large guest is in the TD's RAM, where the host added it before the TD ran: it is
//! read there until L2 starts, and is L2's memory from then on.
#![expect(unsafe_code, reason = "the payload is reached by address")]

use core::fmt;

use paravisor::{memory_map::MemoryMap, width};
use tdvf::payload::{self, DIRECTORY, Directory, ENCODED, Extent, GuestKind};

/// Between the end of a payload in RAM and L1's memory there is room for what L1 tells L2.
const ROOM: u64 = 2 << 20;

/// The payload.
#[derive(Debug)]
pub(crate) struct Payload {
    /// The paravisor's command line and behind it the guest's.
    pub(crate) command_line: &'static [u8],
    /// The guest.
    pub(crate) guest: Option<Guest>,
    /// The program that runs the AML of the host's tables.
    pub(crate) aml_vm: Option<&'static [u8]>,
}

/// The guest's files. Whoever has this is the only one to use RAM in which they are; it must be gone
/// before L2 starts.
#[derive(Debug)]
pub(crate) struct Guest(payload::Guest);

/// The TD has too little RAM for the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooLarge {
    /// Where the payload ends.
    end: u64,
    /// Where L2's RAM ends.
    ram_end: u64,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { end, ram_end } = self;
        write!(
            f,
            "the guest's files reach to {end:#x}, too near the end of its RAM at {ram_end:#x}"
        )
    }
}

impl Payload {
    /// Finds it by the directory.
    pub(crate) fn find() -> Result<Self, payload::Error> {
        let directory = image_bytes(Extent { address: DIRECTORY, length: ENCODED as u64 });
        let directory = Directory::decode(directory)?;
        Ok(Self {
            command_line: image_bytes(directory.command_line),
            guest: directory.guest.map(Guest),
            aml_vm: directory.aml_vm.map(image_bytes),
        })
    }
}

impl Guest {
    /// Checks that what lies in RAM is in L2's, with room behind it.
    pub(crate) fn check(&self, map: MemoryMap) -> Result<(), TooLarge> {
        let (end, ram_end) = (self.0.ram_end(), map.guest().end);
        let fits = end == 0 || end.checked_add(ROOM).is_some_and(|end| end <= ram_end);
        if fits { Ok(()) } else { Err(TooLarge { end, ram_end }) }
    }

    /// What the kernel's file is.
    pub(crate) const fn kind(&self) -> GuestKind {
        self.0.kind
    }

    /// The kernel's file. Nothing may be written to its place while the slice is in use.
    pub(crate) fn kernel(&self) -> &[u8] {
        bytes(self.0.kernel)
    }

    /// Where the kernel's file is: in L2's RAM or in the image.
    pub(crate) const fn kernel_place(&self) -> Extent {
        self.0.kernel
    }

    /// Where the initial RAM disk is, which L2 uses in place.
    pub(crate) const fn initrd(&self) -> Option<Extent> {
        self.0.initrd
    }
}

/// `extent` is either the directory itself or was checked to lie in the image below it.
fn image_bytes(extent: Extent) -> &'static [u8] {
    bytes(extent)
}

/// `extent` was checked by the directory's reader, and by [`Guest::check`] if it is in RAM.
fn bytes<'a>(extent: Extent) -> &'a [u8] {
    let start = core::ptr::with_exposed_provenance(width::index(extent.address));
    // SAFETY: The image is private, mapped memory, which is never written below the window. RAM with
    // a part of the guest is private memory too, and mapped; it is not written while `Guest` is
    // borrowed, because loaders know its place.
    unsafe { core::slice::from_raw_parts(start, width::index(extent.length)) }
}
