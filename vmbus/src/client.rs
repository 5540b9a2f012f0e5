// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client: a state machine over messages.
//!
//! The caller posts what the commands return and feeds [`Client::handle`] with what arrives.
//!
//! ```text
//!            initiate_contact            Connected            unload
//!  Disconnected ────────▶ Contacting ──────────▶ Connected ────────▶ Unloading ──▶ Disconnected
//!       ▲  ▲                 │ │  ▲ VersionRefused                     ▲  UnloadComplete
//!       │  └──── ContactFailed ┘  └─ initiate_contact                  │
//!       └── reset                                      Failed ─────────┘ unload
//!
//!  channel:  Offered ─open─▶ Opening ─Opened─▶ Open ─close─▶ Offered
//!                any ─Rescinded─▶ Rescinded ─release─▶ (gone)        any ─fault─▶ Failed
//!  memory:   Creating ─GpadlCreated─▶ Created ─teardown─▶ TearingDown ─GpadlTorndown─▶ (gone)
//! ```
//!
//! Both tables have a fixed number of entries. Offers that find no room are dropped and counted; the
//! host cannot make the client forget a channel to make room for another.
//!
//! A handle of a channel carries a generation, so one that outlives its channel finds nothing even
//! when the host reuses the number.

mod channel;

mod connection;

mod contact;

mod gpadl_table;

mod handle;

mod open;

mod reserved;

use crate::{
    Guid,
    fault::HostFault,
    message::{ChannelId, ConnectionId, GpadlId, Outgoing},
    version::{Features, Version},
};

pub use channel::{Channel, ChannelHandle, ChannelState, Signal};
pub use connection::{ConnectionState, Negotiated};
pub use open::{Interrupt, Open, SignalParameters};

use gpadl_table::Gpadl;

/// Guest-physical addresses of the two monitor pages, as a message has them. Pages that the *host*
/// named are an allegation: who maps them checks them first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorPages {
    /// The page whose bits the host sets.
    pub parent_to_child: u64,
    /// The page whose bits the client sets.
    pub child_to_parent: u64,
}

/// How to make contact.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The port for the first message.
    pub contact: ConnectionId,
    /// The newest version to offer.
    pub newest: Version,
    /// The oldest version to offer.
    pub oldest: Version,
    /// Features to ask for, if the version has any.
    pub features: Features,
    /// The CPU that gets messages.
    pub target_vp: u32,
    /// The source that gets them.
    pub sint: u8,
    /// The trust level that gets them.
    pub vtl: u8,
    /// Monitor pages, if channels may be monitored.
    pub monitor_pages: Option<MonitorPages>,
    /// Who asks; sent only with [`Features::CLIENT_ID`].
    pub client_id: Guid,
}

/// What a message of the host was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Contact is made.
    Connected(Negotiated),
    /// The host does not speak this version: `initiate_contact` offers the next one.
    VersionRefused(Version),
    /// The host refuses contact, for this reason of its own, or speaks no version that was offered.
    ContactFailed(u8),
    /// A channel.
    Offered(ChannelHandle),
    /// A channel for which there was no room; the host's number for it.
    OfferDropped(ChannelId),
    /// No more offers for now.
    OffersDelivered,
    /// The channel is gone: close what uses it, then [`Client::release`] it.
    Rescinded(ChannelHandle),
    /// The host knows the memory.
    GpadlCreated(GpadlId),
    /// The host does not want the memory, with this status.
    GpadlRefused(GpadlId, u32),
    /// The host has forgotten the memory.
    GpadlTornDown(GpadlId),
    /// The channel is open.
    Opened(ChannelHandle),
    /// The channel is not open, with this status.
    OpenRefused(ChannelHandle, u32),
    /// A reserved channel is closed.
    ReservedClosed(ChannelHandle),
    /// Interrupts of the channel go to the CPU that was asked for.
    ChannelModified(ChannelHandle),
    /// They still go where they went, with this status.
    ModifyRefused(ChannelHandle, u32),
    /// The monitor pages are those that were asked for.
    ConnectionModified,
    /// They are still the old ones, with this state.
    ConnectionModifyRefused(u8),
    /// The host is silent until `resume`.
    Paused,
    /// The connection is over; the host has forgotten everything.
    Unloaded,
    /// An answer that crossed with the end of what it was about.
    Late,
}

/// What happened, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages handled.
    pub messages: u64,
    /// Faults of the host.
    pub faults: u64,
    /// Offers for which there was no room.
    pub offers_dropped: u64,
    /// Answers that came too late to matter.
    pub late: u64,
}

/// A client of at most `CHANNELS` channels and `GPADLS` pieces of memory.
#[derive(Debug)]
pub struct Client<const CHANNELS: usize, const GPADLS: usize> {
    config: Config,
    connection: ConnectionState,
    /// The version to offer, or offered last.
    version: Version,
    offers: Offers,
    modifying_connection: bool,
    pausing: bool,
    channels: [Option<Channel>; CHANNELS],
    gpadls: [Option<Gpadl>; GPADLS],
    /// Goes up with each offer, and each open.
    generation: u32,
    next_gpadl: u32,
    figures: Figures,
}

/// Whether the host was asked for offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offers {
    NotRequested,
    Coming,
    Delivered,
}

impl<const CHANNELS: usize, const GPADLS: usize> Client<CHANNELS, GPADLS> {
    /// Returns a client without connection.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            connection: ConnectionState::Disconnected,
            version: config.newest,
            offers: Offers::NotRequested,
            modifying_connection: false,
            pausing: false,
            channels: [const { None }; CHANNELS],
            gpadls: [const { None }; GPADLS],
            generation: 0,
            next_gpadl: 1,
            figures: Figures { messages: 0, faults: 0, offers_dropped: 0, late: 0 },
        }
    }

    /// Takes a message of the host. `bytes` must be out of the host's reach.
    ///
    /// # Errors
    ///
    /// The message cannot be right: the fault says why, and what has ended.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<Event, HostFault> {
        self.figures.messages = self.figures.messages.saturating_add(1);
        let result = self.dispatch(bytes);
        match &result {
            Ok(Event::Late) => self.figures.late = self.figures.late.saturating_add(1),
            Ok(event) => log::debug!("vmbus: {event:?}"),
            Err(fault) => {
                self.figures.faults = self.figures.faults.saturating_add(1);
                self.apply(fault.ends);
                log::debug!("vmbus: {fault}");
            }
        }
        result
    }

    /// Returns the state of the connection.
    #[must_use]
    pub const fn connection(&self) -> &ConnectionState {
        &self.connection
    }

    /// Returns what happened so far.
    #[must_use]
    pub const fn figures(&self) -> Figures {
        self.figures
    }

    /// Forgets everything without telling the host: for a host that does not answer an unload, or
    /// after the machine was reset. Memory that the host knew stays known to it.
    pub fn reset(&mut self) {
        self.forget();
        self.connection = ConnectionState::Disconnected;
    }

    /// A body to the host, over the connection.
    fn message<B: crate::message::to_host::Body>(
        &self,
        body: &B,
    ) -> Result<Outgoing, crate::fault::Refused> {
        Ok(Outgoing::new(self.negotiated()?.connection, body))
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
