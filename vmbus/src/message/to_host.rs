// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bodies of messages to the host.

use zerocopy::{
    Immutable, IntoBytes, Unaligned,
    little_endian::{U16, U32, U64},
};

use super::{ChannelId, ConnectionId, GpadlId, Header, Kind};
use crate::Guid;

/// A body, and the type that goes with it.
pub trait Body: IntoBytes + Immutable {
    /// The type.
    const KIND: Kind;
}

/// Defines bodies of plain fields, each with its type and the size of the whole message.
macro_rules! bodies {
    ($($(#[$meta:meta])* $name:ident, $kind:ident, $size:literal { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })+) => {$(
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, IntoBytes, Immutable, Unaligned)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        const _: () = assert!(size_of::<$name>() + size_of::<Header>() == $size);

        impl Body for $name {
            const KIND: Kind = Kind::$kind;
        }
    )+};
}

bodies! {
    /// Proposes a version.
    InitiateContact, INITIATE_CONTACT, 40 {
        /// The version.
        version: U32,
        /// The CPU that gets messages.
        target_vp: U32,
        /// The source that gets them.
        sint: u8,
        /// The trust level that gets them.
        vtl: u8,
        /// Zero.
        padding: U16,
        /// What is asked for, from 6.0.
        features: U32,
        /// Page that the host sets, or 0.
        parent_to_child: U64,
        /// Page that the client sets, or 0.
        child_to_parent: U64,
    }
    /// Proposes a version and says who asks.
    InitiateContactWithClientId, INITIATE_CONTACT, 56 {
        /// The rest.
        base: InitiateContact,
        /// Who asks.
        client: Guid,
    }
    /// Asks for offers.
    RequestOffers, REQUEST_OFFERS, 8 {}
    /// Opens a channel.
    OpenChannel, OPEN_CHANNEL, 148 {
        /// The channel.
        channel: ChannelId,
        /// What the answer will call it.
        open_id: U32,
        /// The ring.
        ring: GpadlId,
        /// The CPU that is interrupted; all ones for none.
        target_vp: U32,
        /// The page of the ring at which the host's half begins.
        downstream_page: U32,
        /// Data for the device.
        user_data: [u8; 120],
    }
    /// Opens a channel and says how the client is signalled.
    OpenChannelWithSignal, OPEN_CHANNEL, 156 {
        /// The rest.
        base: OpenChannel,
        /// Where the host is signalled.
        connection: ConnectionId,
        /// The client's event flag.
        event_flag: U16,
        /// Bit 0: redirect the interrupt.
        flags: U16,
    }
    /// Closes a channel.
    CloseChannel, CLOSE_CHANNEL, 12 {
        /// The channel.
        channel: ChannelId,
    }
    /// Forgets memory.
    GpadlTeardown, GPADL_TEARDOWN, 16 {
        /// The channel that it was for.
        channel: ChannelId,
        /// The memory.
        gpadl: GpadlId,
    }
    /// Gives a number back.
    RelIdReleased, REL_ID_RELEASED, 12 {
        /// The number.
        channel: ChannelId,
    }
    /// Ends the connection.
    Unload, UNLOAD, 8 {}
    /// Opens a reserved channel.
    OpenReservedChannel, OPEN_RESERVED_CHANNEL, 28 {
        /// The channel.
        channel: ChannelId,
        /// The CPU that gets the answer and the interrupts.
        target_vp: U32,
        /// The source that gets them.
        target_sint: U32,
        /// The ring.
        ring: GpadlId,
        /// The page of the ring at which the host's half begins.
        downstream_page: U32,
    }
    /// Closes a reserved channel.
    CloseReservedChannel, CLOSE_RESERVED_CHANNEL, 20 {
        /// The channel.
        channel: ChannelId,
        /// The CPU that gets the answer.
        target_vp: U32,
        /// The source that gets it.
        target_sint: U32,
    }
    /// Moves a channel's interrupt.
    ModifyChannel, MODIFY_CHANNEL, 16 {
        /// The channel.
        channel: ChannelId,
        /// The CPU.
        target_vp: U32,
    }
    /// Moves the monitor pages.
    ModifyConnection, MODIFY_CONNECTION, 24 {
        /// Page that the host sets, or 0.
        parent_to_child: U64,
        /// Page that the client sets, or 0.
        child_to_parent: U64,
    }
    /// Asks for silence.
    Pause, PAUSE, 8 {}
    /// Ends the silence.
    Resume, RESUME, 8 {}
}

/// The body of the first message about memory; the ranges follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, Unaligned)]
pub struct GpadlHeader {
    /// The channel that the memory is for.
    pub channel: ChannelId,
    /// The memory.
    pub gpadl: GpadlId,
    /// Bytes of ranges in all messages.
    pub length: U16,
    /// Ranges.
    pub ranges: U16,
}

/// The body of the further messages; the ranges go on.
#[repr(C)]
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, Unaligned)]
pub struct GpadlBody {
    /// The number of the message, from 0.
    pub sequence: U32,
    /// The memory.
    pub gpadl: GpadlId,
}

const _: () = assert!(size_of::<GpadlHeader>() + size_of::<Header>() == 20);
const _: () = assert!(size_of::<GpadlBody>() + size_of::<Header>() == 16);

impl Body for GpadlHeader {
    const KIND: Kind = Kind::GPADL_HEADER;
}

impl Body for GpadlBody {
    const KIND: Kind = Kind::GPADL_BODY;
}
