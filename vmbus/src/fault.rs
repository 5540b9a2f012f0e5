// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong, and whose fault it is.
//!
//! A [`HostFault`] blames the host; it says what was wrong with its message and what has ended by it.
//! A [`Refused`] blames the caller; nothing has changed.

use core::fmt;

use crate::{
    message::{ChannelId, GpadlId, Kind, Malformed},
    version::Version,
};

/// A message of the host that cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFault {
    /// What is wrong.
    pub what: What,
    /// What has ended by it.
    pub ends: Ends,
}

/// What is wrong with a message of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is no message at all.
    Malformed(Malformed),
    /// Nothing was said or asked that it could answer.
    Unexpected(Kind),
    /// It means a channel that was not offered, or not to this client.
    UnknownChannel(Kind, ChannelId),
    /// It means memory that the host was not told of.
    UnknownGpadl(Kind, GpadlId),
    /// It offers a channel under a number that is in use.
    DuplicateOffer(ChannelId),
    /// It answers for the wrong channel.
    WrongChannel(Kind, ChannelId),
    /// It answers another open than the last.
    WrongOpen(ChannelId, u32),
    /// It rescinds a channel for the second time.
    RescindedTwice(ChannelId),
}

/// What ends with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Nothing: the message was dropped.
    Nothing,
    /// This channel: nothing it says is believed any more.
    Channel(ChannelId),
    /// The connection, with all its channels.
    Connection,
}

/// Something that the client does not do for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The connection is not in a state for it.
    ConnectionState,
    /// The channel is not in a state for it.
    ChannelState,
    /// The memory is not in a state for it.
    GpadlState,
    /// There is no such channel, or no more.
    NoChannel,
    /// There is no such memory, or no more.
    NoGpadl,
    /// The table of memory is full.
    NoRoom,
    /// The description of the memory is empty, or longer than the protocol allows.
    Ranges,
    /// An open channel uses the memory.
    InUse,
    /// An answer to the same request is still to come.
    Busy,
    /// The host did not grant the feature that it needs.
    NotGranted,
    /// There are 2048 event flags, and this is none of them. Without a choice of the caller it is the
    /// host's number of the channel.
    EventFlag,
    /// The version lies outside of what was configured, or is not spoken.
    Version(Version),
}

impl fmt::Display for HostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host: {}; ", self.what)?;
        match self.ends {
            Ends::Nothing => f.write_str("dropped"),
            Ends::Channel(channel) => write!(f, "channel {:#x} ended", channel.get()),
            Ends::Connection => f.write_str("connection ended"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Unexpected(kind) => write!(f, "unexpected {kind}"),
            Self::UnknownChannel(kind, channel) => {
                write!(f, "{kind} for unknown channel {:#x}", channel.get())
            }
            Self::UnknownGpadl(kind, gpadl) => {
                write!(f, "{kind} for unknown memory {:#x}", gpadl.get())
            }
            Self::DuplicateOffer(channel) => {
                write!(f, "channel {:#x} offered twice", channel.get())
            }
            Self::WrongChannel(kind, channel) => {
                write!(f, "{kind} names channel {:#x}, which did not ask", channel.get())
            }
            Self::WrongOpen(channel, open) => {
                write!(f, "answer to open {open:#x} of channel {:#x}", channel.get())
            }
            Self::RescindedTwice(channel) => {
                write!(f, "channel {:#x} rescinded twice", channel.get())
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("caller: ")?;
        match self {
            Self::ConnectionState => f.write_str("not in this state of the connection"),
            Self::ChannelState => f.write_str("not in this state of the channel"),
            Self::GpadlState => f.write_str("not in this state of the memory"),
            Self::NoChannel => f.write_str("no such channel"),
            Self::NoGpadl => f.write_str("no such memory"),
            Self::NoRoom => f.write_str("table of memory is full"),
            Self::Ranges => f.write_str("ranges are empty or too long"),
            Self::InUse => f.write_str("an open channel uses the memory"),
            Self::Busy => f.write_str("the last request is not answered"),
            Self::NotGranted => f.write_str("host did not grant the feature"),
            Self::EventFlag => f.write_str("no such event flag"),
            Self::Version(version) => write!(f, "version {version} is not offered"),
        }
    }
}

impl core::error::Error for HostFault {}

impl core::error::Error for Refused {}
