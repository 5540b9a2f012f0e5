// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages from the host: cut out of bytes, checked for length, believed in nothing else.

use core::fmt;

use bitflags::bitflags;
use zerocopy::{
    FromBytes, Immutable, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

use super::{ChannelId, ConnectionId, GpadlId, Header, Kind};
use crate::Guid;

/// A message from the host.
#[derive(Clone, Copy, Debug)]
pub enum HostMessage {
    /// A channel.
    Offer(Offer),
    /// A channel is gone.
    Rescind(ChannelId),
    /// No more offers for now.
    AllOffersDelivered,
    /// Answer to an open.
    OpenResult(OpenResult),
    /// Answer to memory.
    GpadlCreated(GpadlCreated),
    /// Memory is forgotten.
    GpadlTorndown(GpadlId),
    /// Answer to contact.
    VersionResponse(VersionResponse),
    /// The connection is forgotten.
    UnloadComplete,
    /// A reserved channel is closed.
    CloseReservedResponse(ChannelId),
    /// Answer to a change of target.
    ModifyChannelResponse(ModifyChannelResponse),
    /// Answer to a change of monitor pages: 0 is success.
    ModifyConnectionResponse(u8),
    /// The host is silent from now on.
    PauseResponse,
}

/// Why bytes are no message; the host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// No room for a header.
    NoHeader(usize),
    /// Shorter than its type.
    TooShort {
        /// The type.
        kind: Kind,
        /// Bytes.
        length: usize,
    },
    /// Not a type that a host sends to this client.
    Kind(Kind),
    /// A yes-or-no that is neither.
    Boolean(u8),
}

bitflags! {
    /// Properties of a channel.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OfferFlags: u16 {
        /// The interface shall be listed.
        const ENUMERATE_DEVICE_INTERFACE = 1 << 0;
        /// The ring shall be private.
        const CONFIDENTIAL_RING_BUFFER = 1 << 1;
        /// Buffers shall be private.
        const CONFIDENTIAL_EXTERNAL_MEMORY = 1 << 2;
        /// Pages shall be pinned.
        const PINNED_MEMORY = 1 << 3;
        /// The channel is a pipe.
        const NAMED_PIPE_MODE = 1 << 4;
        /// The channel is a socket.
        const TLNPI_PROVIDER = 1 << 13;
        // Others may come.
        const _ = !0;
    }
}

/// The body of an offer.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
pub struct Offer {
    /// What the channel speaks.
    pub interface: Guid,
    /// Which one of its kind.
    pub instance: Guid,
    reserved: [u8; 16],
    flags: U16,
    /// Memory-mapped I/O that it wants, in MiB.
    pub mmio_mebibytes: U16,
    /// Data of the device.
    pub user_defined: [u8; 120],
    /// 0 for a device's first channel.
    pub subchannel: U16,
    /// Memory-mapped I/O that it would like, in MiB.
    pub mmio_mebibytes_optional: U16,
    /// Its number.
    pub channel: ChannelId,
    /// Its bit in the monitor page.
    pub monitor_id: u8,
    /// Not 0: the bit is valid.
    pub monitor_allocated: u8,
    is_dedicated: U16,
    /// Where it is signalled.
    pub connection: ConnectionId,
}

const _: () = assert!(size_of::<Offer>() + 8 == 196);

impl Offer {
    /// Returns the properties.
    #[must_use]
    pub fn flags(&self) -> OfferFlags {
        OfferFlags::from_bits_retain(self.flags.get())
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("channel", &self.channel)
            .field("interface", &self.interface)
            .field("instance", &self.instance)
            .field("flags", &self.flags())
            .field("subchannel", &self.subchannel.get())
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// The body of an answer to an open.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, Unaligned)]
pub struct OpenResult {
    /// The channel.
    pub channel: ChannelId,
    /// What the client called the open.
    pub open_id: U32,
    /// 0 is success.
    pub status: U32,
}

const _: () = assert!(size_of::<OpenResult>() + size_of::<Header>() == 20);

/// The body of an answer to memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, Unaligned)]
pub struct GpadlCreated {
    /// The channel that the memory is for.
    pub channel: ChannelId,
    /// The memory.
    pub gpadl: GpadlId,
    /// 0 is success.
    pub status: U32,
}

const _: () = assert!(size_of::<GpadlCreated>() + size_of::<Header>() == 20);

/// The body of an answer to a change of target.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, Unaligned)]
pub struct ModifyChannelResponse {
    /// The channel.
    pub channel: ChannelId,
    /// 0 is success.
    pub status: U32,
}

const _: () = assert!(size_of::<ModifyChannelResponse>() + size_of::<Header>() == 16);

/// The shortest body of an answer to contact.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, Unaligned)]
struct ContactResponse {
    /// Whether the version is supported.
    supported: u8,
    /// 0 is success.
    state: u8,
    /// Zero.
    padding: U16,
    /// Where further messages are posted.
    connection: ConnectionId,
}

const _: () = assert!(size_of::<ContactResponse>() + size_of::<Header>() == 16);

/// The body of that answer with features.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, Unaligned)]
struct ContactResponseWithFeatures {
    /// What the shortest has.
    base: ContactResponse,
    /// What the host can do.
    features: U32,
}

const _: () = assert!(size_of::<ContactResponseWithFeatures>() + size_of::<Header>() == 20);

/// The body of that answer with monitor pages.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, Unaligned)]
struct ContactResponseWithMonitorPages {
    /// What the shorter one has.
    base: ContactResponseWithFeatures,
    /// Zero.
    padding: U32,
    /// Addresses.
    pages: MonitorPagesField,
}

const _: () = assert!(size_of::<ContactResponseWithMonitorPages>() + size_of::<Header>() == 40);

/// Two pages, as they stand in messages.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, Unaligned)]
struct MonitorPagesField {
    /// What the host sets.
    parent_to_child: U64,
    /// What the client sets.
    child_to_parent: U64,
}

const _: () = assert!(size_of::<MonitorPagesField>() + size_of::<Header>() == 24);

/// An answer to contact, of any length.
#[derive(Clone, Copy, Debug)]
pub struct VersionResponse {
    /// Whether the version is supported.
    pub supported: Supported,
    /// 0 is success.
    pub state: u8,
    /// Where further messages are posted.
    pub connection: ConnectionId,
    /// What the host can do, if it says so.
    pub features: Option<u32>,
    /// Host's choice of monitor pages, parent to child first, if the answer is long enough.
    pub monitor_pages: Option<(u64, u64)>,
}

/// A yes-or-no of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supported {
    /// The version is supported.
    Yes,
    /// It is not.
    No,
}

impl HostMessage {
    /// Reads a message.
    ///
    /// `bytes` must be out of the host's reach, as a copy by
    /// [`MessagePage::take`](crate::synic::MessagePage::take) is.
    ///
    /// # Errors
    ///
    /// The bytes are too short, or of a type that a host does not send.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (header, body) =
            Header::read_from_prefix(bytes).map_err(|_| Malformed::NoHeader(bytes.len()))?;
        let body = Body { kind: header.kind, body, length: bytes.len() };
        Ok(match header.kind {
            Kind::OFFER_CHANNEL => Self::Offer(body.read()?),
            Kind::RESCIND_CHANNEL_OFFER => Self::Rescind(body.read()?),
            Kind::ALL_OFFERS_DELIVERED => Self::AllOffersDelivered,
            Kind::OPEN_CHANNEL_RESULT => Self::OpenResult(body.read()?),
            Kind::GPADL_CREATED => Self::GpadlCreated(body.read()?),
            Kind::GPADL_TORNDOWN => Self::GpadlTorndown(body.read()?),
            Kind::VERSION_RESPONSE => Self::VersionResponse(body.version_response()?),
            Kind::UNLOAD_COMPLETE => Self::UnloadComplete,
            Kind::CLOSE_RESERVED_CHANNEL_RESPONSE => Self::CloseReservedResponse(body.read()?),
            Kind::MODIFY_CHANNEL_RESPONSE => Self::ModifyChannelResponse(body.read()?),
            Kind::MODIFY_CONNECTION_RESPONSE => Self::ModifyConnectionResponse(body.read()?),
            Kind::PAUSE_RESPONSE => Self::PauseResponse,
            kind => return Err(Malformed::Kind(kind)),
        })
    }
}

/// What follows a header.
#[derive(Clone, Copy)]
struct Body<'a> {
    kind: Kind,
    body: &'a [u8],
    length: usize,
}

impl Body<'_> {
    fn read<T: FromBytes>(self) -> Result<T, Malformed> {
        self.try_read().ok_or(Malformed::TooShort { kind: self.kind, length: self.length })
    }

    fn try_read<T: FromBytes>(self) -> Option<T> {
        T::read_from_prefix(self.body).ok().map(|(body, _)| body)
    }

    /// Reads an answer to contact: nothing but its length says how much of it there is.
    fn version_response(self) -> Result<VersionResponse, Malformed> {
        let base: ContactResponse = self.read()?;
        let supported = match base.supported {
            0 => Supported::No,
            1 => Supported::Yes,
            other => return Err(Malformed::Boolean(other)),
        };
        let features = self.try_read::<ContactResponseWithFeatures>();
        let pages = self.try_read::<ContactResponseWithMonitorPages>().map(|body| body.pages);
        Ok(VersionResponse {
            supported,
            state: base.state,
            connection: base.connection,
            features: features.map(|body| body.features.get()),
            monitor_pages: pages
                .map(|pages| (pages.parent_to_child.get(), pages.child_to_parent.get())),
        })
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader(length) => write!(f, "{length} bytes are no message"),
            Self::TooShort { kind, length } => write!(f, "{kind} has only {length} bytes"),
            Self::Kind(kind) => write!(f, "{kind} is not for a client"),
            Self::Boolean(value) => write!(f, "{value} is neither yes nor no"),
        }
    }
}
