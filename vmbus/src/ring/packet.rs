// SPDX-License-Identifier: MIT OR Apache-2.0
//! Headers of packets.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

use super::RingFault;

/// What every packet begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct Descriptor {
    /// What it is.
    pub kind: PacketKind,
    /// Where the payload begins, in words of 8 bytes.
    pub data_offset: U16,
    /// Length without footer, in words of 8 bytes.
    pub length: U16,
    /// Bit 0: a completion is wanted.
    pub flags: U16,
    /// What the completion will be called.
    pub transaction: U64,
}

const _: () = assert!(size_of::<Descriptor>() == 16);

/// The type of a packet.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
pub struct PacketKind(U16);

impl PacketKind {
    /// The payload is all there is.
    pub const IN_BAND: Self = Self(U16::new(6));
    /// The data lies in pages of a set that both sides know: [`TransferPages`].
    pub const TRANSFER_PAGES: Self = Self(U16::new(7));
    /// The data lies in pages of the guest: [`GpaDirect`].
    pub const GPA_DIRECT: Self = Self(U16::new(9));
    /// The answer to a packet.
    pub const COMPLETION: Self = Self(U16::new(11));

    /// Makes one of its number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(U16::new(number))
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

/// Whether an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// An answer with the same transaction.
    Wanted,
    /// None.
    NotWanted,
}

/// The further header of [`PacketKind::TRANSFER_PAGES`]; [`TransferRange`]s follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct TransferPages {
    /// The set.
    pub set: U16,
    /// Zero.
    pub reserved: U16,
    /// Ranges.
    pub count: U32,
}

/// A range in a set of pages.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct TransferRange {
    /// Bytes.
    pub length: U32,
    /// Where it begins.
    pub offset: U32,
}

/// The further header of [`PacketKind::GPA_DIRECT`]; ranges follow, as in a GPADL.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct GpaDirect {
    /// Zero.
    pub reserved: U32,
    /// Ranges.
    pub count: U32,
}

/// What the payload begins with in a channel that is a pipe.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct PipeHeader {
    /// 1: data.
    pub kind: U32,
    /// Bytes that follow.
    pub length: U32,
}

const _: () = assert!(size_of::<TransferPages>() == 8);
const _: () = assert!(size_of::<GpaDirect>() == 8);

/// Bytes of a descriptor.
pub(super) const DESCRIPTOR: u32 = 16;

/// The sizes of a packet, known to fit each other and the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Bytes of further headers.
    pub(super) headers: u32,
    /// Bytes of payload, padding included.
    pub(super) payload: u32,
}

impl Descriptor {
    /// Whether a completion is wanted. Other flags have no meaning here.
    #[must_use]
    pub fn completion(&self) -> Completion {
        if self.flags.get() & 1 != 0 { Completion::Wanted } else { Completion::NotWanted }
    }

    /// Checks the sizes against each other, and against the bytes that are there for packet and
    /// footer.
    pub(super) fn sizes(&self, available: u32) -> Result<Sizes, RingFault> {
        let (data_offset, length) = (self.data_offset.get(), self.length.get());
        let fault = RingFault::Packet { data_offset, length, available };
        let bytes = |words: u16| u32::from(words).saturating_mul(8);
        let headers = bytes(data_offset).checked_sub(DESCRIPTOR).ok_or(fault)?;
        let payload = bytes(length).checked_sub(bytes(data_offset)).ok_or(fault)?;
        let whole = bytes(length).saturating_add(super::FOOTER);
        if whole > available {
            return Err(fault);
        }
        Ok(Sizes { headers, payload })
    }
}
