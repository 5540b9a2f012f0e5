// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload directory: where the paravisor finds its command line and its guest in the image.
//!
//! It is a page of its own, right below the paravisor's window of the address space, and measured
//! with everything else, so that an image is bound to the guest and the options that it runs.

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

const MAGIC: [u8; 8] = *b"LYCHGATE";
const VERSION: u32 = 1;

/// Bytes of an encoded directory.
pub const ENCODED: usize = size_of::<Encoded>();

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Encoded {
    magic: [u8; 8],
    version: U32,
    reserved: U32,
    command_line: U64,
    command_line_length: U64,
    guest: U64,
    guest_length: U64,
}

const _: () = assert!(size_of::<Encoded>() == 48);

/// Bytes of the image, by guest physical address.
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
    /// The command line, without a terminating zero.
    pub command_line: Extent,
    /// The guest to run, if the image brings one.
    pub guest: Option<Extent>,
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
    /// Bytes that must be zero are not.
    Reserved(u32),
    /// An extent does not begin on a page, or is not wholly between image floor and directory.
    Extent(Extent),
}

impl Directory {
    /// Returns the directory as it stands in the image.
    #[must_use]
    pub fn encode(&self) -> [u8; ENCODED] {
        let guest = self.guest.unwrap_or_default();
        zerocopy::transmute!(Encoded {
            magic: MAGIC,
            version: VERSION.into(),
            reserved: 0.into(),
            command_line: self.command_line.address.into(),
            command_line_length: self.command_line.length.into(),
            guest: guest.address.into(),
            guest_length: guest.length.into(),
        })
    }

    /// Reads a directory from the beginning of `bytes`.
    ///
    /// # Errors
    ///
    /// If it is not one, or points at anything but the image below it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (raw, _) = Encoded::read_from_prefix(bytes).map_err(|_| Error::Truncated)?;
        if raw.magic != MAGIC {
            return Err(Error::Magic(raw.magic));
        }
        if raw.version.get() != VERSION {
            return Err(Error::Version(raw.version.get()));
        }
        if raw.reserved.get() != 0 {
            return Err(Error::Reserved(raw.reserved.get()));
        }
        let command_line =
            Extent { address: raw.command_line.get(), length: raw.command_line_length.get() };
        let guest = Extent { address: raw.guest.get(), length: raw.guest_length.get() };
        Ok(Self {
            command_line: command_line.check()?,
            guest: if guest == Extent::default() { None } else { Some(guest.check()?) },
        })
    }
}

impl Extent {
    fn check(self) -> Result<Self, Error> {
        let end = self.address.checked_add(self.length);
        let inside = self.address >= FLOOR && end.is_some_and(|end| end <= DIRECTORY);
        let aligned = self.address.is_multiple_of(PAGE_SIZE as u64);
        if inside && aligned { Ok(self) } else { Err(Error::Extent(self)) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated => write!(f, "payload directory is truncated"),
            Self::Magic(found) => write!(f, "payload directory begins with {found:02x?}"),
            Self::Version(version) => write!(f, "payload directory has version {version}"),
            Self::Reserved(value) => write!(f, "payload directory has {value:#x} reserved"),
            Self::Extent(Extent { address, length }) => {
                write!(f, "payload at {address:#x}+{length:#x} is outside the image")
            }
        }
    }
}

impl core::error::Error for Error {}
