// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages of the control plane, as they stand on the wire.
//!
//! Every message begins with a type and four bytes of padding. Structures here are the *bodies*, which
//! follow; their fields are little-endian and need no alignment, so a body is read from any bytes in
//! one copy. Bytes behind a body are not looked at: hosts round up.
//!
//! Spec: VMBUS "Channel messages".

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::U32};

/// Messages from the host.
pub mod from_host;

/// Messages to the host.
pub mod to_host;

/// What describes memory to the host: ranges of pages, cut into messages.
pub mod gpadl;

/// A message to the host, ready to be posted.
pub mod outgoing;

pub use from_host::{HostMessage, Malformed, Offer, OfferFlags};
pub use gpadl::{GpadlMessages, GpadlRange};
pub use outgoing::Outgoing;

/// Bytes of a message, header included.
pub const MAX_MESSAGE: usize = 240;

/// What every message begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// Zero.
    pub padding: U32,
}

const _: () = assert!(size_of::<Header>() == 8);

/// The type of a message.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct Kind(U32);

/// Defines the types, and their names for people.
macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident = $value:literal;)+) => {
        impl Kind {
            $($(#[$meta])* pub const $name: Self = Self(U32::new($value));)+

            /// Returns the name, if the type is known.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0.get() {
                    $($value => Some(stringify!($name)),)+
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// Host: here is a channel.
    OFFER_CHANNEL = 1;
    /// Host: the channel is gone.
    RESCIND_CHANNEL_OFFER = 2;
    /// Client: name your channels.
    REQUEST_OFFERS = 3;
    /// Host: that was all for now.
    ALL_OFFERS_DELIVERED = 4;
    /// Client: use this ring.
    OPEN_CHANNEL = 5;
    /// Host: whether it does.
    OPEN_CHANNEL_RESULT = 6;
    /// Client: stop using the ring. There is no answer.
    CLOSE_CHANNEL = 7;
    /// Client: here is memory.
    GPADL_HEADER = 8;
    /// Client: more of it.
    GPADL_BODY = 9;
    /// Host: whether it can use it.
    GPADL_CREATED = 10;
    /// Client: forget the memory.
    GPADL_TEARDOWN = 11;
    /// Host: forgotten.
    GPADL_TORNDOWN = 12;
    /// Client: the number of a rescinded channel may be used again.
    REL_ID_RELEASED = 13;
    /// Client: shall we speak this version?
    INITIATE_CONTACT = 14;
    /// Host: yes or no.
    VERSION_RESPONSE = 15;
    /// Client: forget me.
    UNLOAD = 16;
    /// Host: forgotten.
    UNLOAD_COMPLETE = 17;
    /// Client: use this ring for a channel that works without offers.
    OPEN_RESERVED_CHANNEL = 18;
    /// Client: stop using it.
    CLOSE_RESERVED_CHANNEL = 19;
    /// Host: stopped.
    CLOSE_RESERVED_CHANNEL_RESPONSE = 20;
    /// Client: connect a socket.
    TL_CONNECT_REQUEST = 21;
    /// Client: interrupt another CPU.
    MODIFY_CHANNEL = 22;
    /// Host: whether it connected the socket.
    TL_CONNECT_REQUEST_RESULT = 23;
    /// Host: whether it interrupts another CPU.
    MODIFY_CHANNEL_RESPONSE = 24;
    /// Client: use other monitor pages.
    MODIFY_CONNECTION = 25;
    /// Host: whether it does.
    MODIFY_CONNECTION_RESPONSE = 26;
    /// Client: be silent.
    PAUSE = 27;
    /// Host: silent.
    PAUSE_RESPONSE = 28;
    /// Client: go on.
    RESUME = 29;
}

impl Kind {
    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "message type {}", self.get()),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Defines numbers that one side chooses and the other repeats.
macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[repr(transparent)]
        #[derive(
            Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
            Unaligned,
        )]
        pub struct $name(U32);

        impl $name {
            /// Makes one of its number.
            #[must_use]
            pub const fn new(number: u32) -> Self {
                Self(U32::new(number))
            }

            /// Returns the number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:#x})", stringify!($name), self.get())
            }
        }
    )+};
}

numbers! {
    /// A channel, numbered by the host; the number comes back after a rescind.
    ChannelId;
    /// Memory, numbered by the client.
    GpadlId;
    /// A port of the hypervisor: where messages are posted, or events signalled.
    ConnectionId;
}

impl ConnectionId {
    /// Where contact is initiated.
    pub const CONTACT: Self = Self::new(4);
    /// Where a paravisor initiates contact, if the host separates its messages from the guest's.
    pub const REDIRECTED_CONTACT: Self = Self::new(0x80_0074);
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
