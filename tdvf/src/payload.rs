// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload directory: where the paravisor finds its command line and its guest.
//!
//! It is a page of its own, right below the paravisor's window of the address space, and measured
//! with everything else, so that an image is bound to the guest and the options that it runs.
//!
//! ```text
//!  0        1 MiB              RAM_LIMIT     FLOOR                     DIRECTORY  WINDOW     4 GiB
//!  |        | what is too large for the image |  ...  what is in the image  | page | paravisor |
//! ```

use core::fmt;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

use crate::PAGE_SIZE;

/// Where the paravisor's code and data begin; they end where the image does, at 4 GiB.
pub const WINDOW: u64 = 0xffe0_0000;

/// Where the directory is.
pub const DIRECTORY: u64 = WINDOW - PAGE_SIZE as u64;

/// Below here no image reaches: 16 MiB is the most that every loader maps.
pub const FLOOR: u64 = 0xff00_0000;

/// A payload in the TD's RAM begins here or above,
pub const RAM_START: u64 = 1 << 20;

/// and ends here or below: devices begin where RAM ends.
pub const RAM_LIMIT: u64 = 0xc000_0000;

const MAGIC: [u8; 8] = *b"LYCHGATE";
const VERSION: u32 = 3;

/// Bytes of an encoded directory.
pub const ENCODED: usize = size_of::<Encoded>();

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Encoded {
    magic: [u8; 8],
    version: U32,
    kind: U32,
    command_line: EncodedExtent,
    kernel: EncodedExtent,
    initrd: EncodedExtent,
    aml_vm: EncodedExtent,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct EncodedExtent {
    address: U64,
    length: U64,
}

const _: () = assert!(size_of::<Encoded>() == 80);

/// Measured bytes, by guest physical address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Where they begin, on a page.
    pub address: u64,
    /// How many there are.
    pub length: u64,
}

/// What came with the paravisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The command line, without a terminating zero; always in the image.
    pub command_line: Extent,
    /// The guest to run, if there is one.
    pub guest: Option<Guest>,
    /// The program that runs the AML of the host's tables, an ELF file; always in the image.
    pub aml_vm: Option<Extent>,
}

/// A guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// What its kernel's file is.
    pub kind: GuestKind,
    /// Its kernel's file.
    pub kernel: Extent,
    /// Its initial RAM disk or only module.
    pub initrd: Option<Extent>,
}

/// What the file of a guest's kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestKind {
    /// An ELF file; a PVH note or a multiboot header in it says how it starts.
    Elf,
    /// A `bzImage`, to be started by the Linux boot protocol.
    Linux,
    /// A multiboot image that is no ELF file.
    Multiboot,
}

/// Why a directory is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Fewer bytes than a directory has.
    Truncated,
    /// It does not begin with the magic.
    Magic([u8; 8]),
    /// Another version than this code knows.
    Version(u32),
    /// Another kind of guest than this code knows.
    Kind(u32),
    /// It has a kernel or an initial RAM disk, but no guest.
    NoGuest,
    /// An extent does not begin on a page, or is neither wholly in the image below the directory nor
    /// wholly where the TD can have RAM.
    Extent(Extent),
}

impl Directory {
    /// Returns the directory as it stands in the image.
    #[must_use]
    pub fn encode(&self) -> [u8; ENCODED] {
        let kernel = self.guest.map(|guest| guest.kernel);
        let initrd = self.guest.and_then(|guest| guest.initrd);
        zerocopy::transmute!(Encoded {
            magic: MAGIC,
            version: VERSION.into(),
            kind: self.guest.map_or(0, |guest| guest.kind.number()).into(),
            command_line: self.command_line.encode(),
            kernel: kernel.unwrap_or_default().encode(),
            initrd: initrd.unwrap_or_default().encode(),
            aml_vm: self.aml_vm.unwrap_or_default().encode(),
        })
    }

    /// Reads a directory from the beginning of `bytes`.
    ///
    /// # Errors
    ///
    /// If it is not one, or points at places where no payload can be.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (raw, _) = Encoded::read_from_prefix(bytes).map_err(|_| Error::Truncated)?;
        if raw.magic != MAGIC {
            return Err(Error::Magic(raw.magic));
        }
        if raw.version.get() != VERSION {
            return Err(Error::Version(raw.version.get()));
        }
        let command_line = Extent::decode(raw.command_line);
        if !command_line.in_image() {
            return Err(Error::Extent(command_line));
        }
        let aml_vm = Extent::decode(raw.aml_vm).unless_nothing();
        if let Some(outside) = aml_vm.filter(|aml_vm| !aml_vm.in_image()) {
            return Err(Error::Extent(outside));
        }
        Ok(Self { command_line, guest: Guest::decode(&raw)?, aml_vm })
    }
}

impl GuestKind {
    const ALL: [Self; 3] = [Self::Elf, Self::Linux, Self::Multiboot];

    const fn number(self) -> u32 {
        match self {
            Self::Elf => 1,
            Self::Linux => 2,
            Self::Multiboot => 3,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

impl Guest {
    fn decode(raw: &Encoded) -> Result<Option<Self>, Error> {
        let (kernel, initrd) = (Extent::decode(raw.kernel), Extent::decode(raw.initrd));
        let initrd = initrd.unless_nothing();
        if raw.kind.get() == 0 {
            let empty = (kernel.unless_nothing(), initrd) == (None, None);
            return if empty { Ok(None) } else { Err(Error::NoGuest) };
        }
        let kind = GuestKind::from_number(raw.kind.get()).ok_or(Error::Kind(raw.kind.get()))?;
        let initrd = initrd.map(Extent::check).transpose()?;
        Ok(Some(Self { kind, kernel: kernel.check()?, initrd }))
    }

    /// Returns where the last part that lies in the TD's RAM ends; 0 if none does.
    #[must_use]
    pub fn ram_end(&self) -> u64 {
        let parts = [Some(self.kernel), self.initrd].into_iter().flatten();
        let ends = parts.filter(|part| part.in_ram()).map(|part| part.address + part.length);
        ends.max().unwrap_or(0)
    }
}

impl Extent {
    /// Whether all of it can be in the image, below the directory.
    #[must_use]
    pub fn in_image(&self) -> bool {
        self.within(FLOOR, DIRECTORY)
    }

    /// Whether all of it can be in the TD's RAM.
    #[must_use]
    pub fn in_ram(&self) -> bool {
        self.within(RAM_START, RAM_LIMIT)
    }

    fn within(&self, start: u64, end: u64) -> bool {
        let aligned = self.address.is_multiple_of(PAGE_SIZE as u64);
        let last = self.address.checked_add(self.length);
        aligned && self.address >= start && last.is_some_and(|last| last <= end)
    }

    /// Zeros stand for what is not there.
    fn unless_nothing(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }

    fn check(self) -> Result<Self, Error> {
        if self.in_image() || self.in_ram() { Ok(self) } else { Err(Error::Extent(self)) }
    }

    fn encode(self) -> EncodedExtent {
        EncodedExtent { address: self.address.into(), length: self.length.into() }
    }

    fn decode(raw: EncodedExtent) -> Self {
        Self { address: raw.address.get(), length: raw.length.get() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated => write!(f, "payload directory is truncated"),
            Self::Magic(found) => write!(f, "payload directory begins with {found:02x?}"),
            Self::Version(version) => write!(f, "payload directory has version {version}"),
            Self::Kind(kind) => write!(f, "payload directory has a guest of kind {kind}"),
            Self::NoGuest => write!(f, "payload directory has parts of a guest but no guest"),
            Self::Extent(Extent { address, length }) => {
                write!(f, "payload at {address:#x}+{length:#x} is neither in the image nor in RAM")
            }
        }
    }
}

impl core::error::Error for Error {}
