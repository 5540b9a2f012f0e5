// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of channels: offers, rescinds, and what is known of each.

use core::fmt;

use super::{Client, Event, MonitorPages, Offers, SignalParameters, connection::unexpected};
use crate::{
    fault::{Ends, HostFault, Refused, What},
    message::{ChannelId, ConnectionId, GpadlId, Kind, Offer, Outgoing, to_host::RelIdReleased},
    monitor::MonitorId,
};

/// A channel, as long as the host does not take it away.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelHandle {
    index: usize,
    generation: u32,
}

/// How far a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelState {
    /// It can be opened.
    Offered,
    /// The host was asked to open it.
    Opening,
    /// Its rings are in use.
    Open,
    /// A reserved channel, which the host was asked to close.
    ClosingReserved,
    /// The host has taken it away; it waits for `release`.
    Rescinded,
    /// The host misbehaved. It can be closed, its memory taken back; it ends with a rescind or with
    /// the connection.
    Failed,
}

/// Where the host is signalled that a ring has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// By a call: HvCallSignalEvent with this [`input`](Signal::input).
    Event(ConnectionId),
    /// By a bit of the monitor page, at which the host looks now and then.
    Monitor(MonitorId),
}

/// What is known of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    pub(super) offer: Offer,
    pub(super) generation: u32,
    pub(super) state: ChannelState,
    /// What the open in progress is called, or the last one.
    pub(super) open_id: u32,
    pub(super) opened: Opened,
    pub(super) ring: Option<GpadlId>,
    pub(super) signal: Option<SignalParameters>,
    pub(super) target_vp: u32,
    /// The CPU that was asked for.
    pub(super) modifying: Option<u32>,
}

/// With which message a channel was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Ordinary,
    Reserved,
}

impl Channel {
    const fn new(offer: Offer, generation: u32) -> Self {
        Self {
            offer,
            generation,
            state: ChannelState::Offered,
            open_id: 0,
            opened: Opened::Ordinary,
            ring: None,
            signal: None,
            target_vp: 0,
            modifying: None,
        }
    }

    /// What the host said of it.
    #[must_use]
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// How far it is.
    #[must_use]
    pub const fn state(&self) -> ChannelState {
        self.state
    }

    /// The CPU that gets its interrupts, while it is open.
    #[must_use]
    pub const fn target_vp(&self) -> u32 {
        self.target_vp
    }

    /// The memory of its rings, from the open until the close.
    #[must_use]
    pub const fn ring(&self) -> Option<GpadlId> {
        self.ring
    }

    /// The event flag by which the host signals the client.
    #[must_use]
    pub fn event_flag(&self) -> u32 {
        self.signal.map_or(self.offer.channel.get(), |signal| u32::from(signal.event_flag))
    }

    /// How the client signals the host: by the monitor page if there is one and the channel has a
    /// bit in it.
    #[must_use]
    pub fn signal(&self, pages: Option<MonitorPages>) -> Signal {
        let monitor = pages
            .filter(|_| self.offer.monitor_allocated != 0)
            .and_then(|_| MonitorId::new(self.offer.monitor_id));
        let connection = self.signal.map_or(self.offer.connection, |signal| signal.connection);
        monitor.map_or(Signal::Event(connection), Signal::Monitor)
    }
}

impl Signal {
    /// The input of the call, which is fast: flag 0 of the connection.
    #[must_use]
    pub fn input(self) -> Option<u64> {
        match self {
            Self::Event(connection) => Some(u64::from(connection.get())),
            Self::Monitor(_) => None,
        }
    }
}

impl<const CHANNELS: usize, const GPADLS: usize> Client<CHANNELS, GPADLS> {
    /// Returns what is known of a channel.
    #[must_use]
    pub fn channel(&self, handle: ChannelHandle) -> Option<&Channel> {
        let channel = self.channels.get(handle.index)?.as_ref();
        channel.filter(|channel| channel.generation == handle.generation)
    }

    /// Yields all channels.
    pub fn channels(&self) -> impl Iterator<Item = (ChannelHandle, &Channel)> {
        self.channels.iter().enumerate().filter_map(|(index, channel)| {
            let channel = channel.as_ref()?;
            Some((ChannelHandle { index, generation: channel.generation }, channel))
        })
    }

    /// Finds the open channel that an event flag stands for.
    #[must_use]
    pub fn signalled(&self, event_flag: u16) -> Option<ChannelHandle> {
        self.channels()
            .find(|(_, channel)| {
                channel.state == ChannelState::Open && channel.event_flag() == u32::from(event_flag)
            })
            .map(|(handle, _)| handle)
    }

    /// Gives the number of a rescinded channel back. Memory that was described for the channel is
    /// forgotten with it: an honest host has dropped it already.
    ///
    /// # Errors
    ///
    /// There is no such channel, or it is not rescinded.
    pub fn release(&mut self, handle: ChannelHandle) -> Result<Outgoing, Refused> {
        let channel = self.channel(handle).ok_or(Refused::NoChannel)?;
        if channel.state != ChannelState::Rescinded {
            return Err(Refused::ChannelState);
        }
        let message = self.message(&RelIdReleased { channel: channel.offer.channel })?;
        self.forget_gpadls_of(handle);
        if let Some(entry) = self.channels.get_mut(handle.index) {
            *entry = None;
        }
        Ok(message)
    }

    /// Gives back the number of a channel for which there was no room, after the host has rescinded it:
    /// after a fault [`What::UnknownChannel`] by a rescind.
    ///
    /// # Errors
    ///
    /// There is no connection, or the number is that of a channel in the table.
    pub fn release_dropped(&self, id: ChannelId) -> Result<Outgoing, Refused> {
        if self.channels().any(|(_, channel)| channel.offer.channel == id) {
            return Err(Refused::ChannelState);
        }
        self.message(&RelIdReleased { channel: id })
    }

    pub(super) fn channel_mut(&mut self, handle: ChannelHandle) -> Result<&mut Channel, Refused> {
        self.channels
            .get_mut(handle.index)
            .and_then(Option::as_mut)
            .filter(|channel| channel.generation == handle.generation)
            .ok_or(Refused::NoChannel)
    }

    /// Finds the channel that the host means.
    pub(super) fn meant(
        &mut self,
        kind: Kind,
        id: ChannelId,
    ) -> Result<(ChannelHandle, &mut Channel), HostFault> {
        let found = self.channels.iter_mut().enumerate().find_map(|(index, channel)| {
            let channel = channel.as_mut().filter(|channel| channel.offer.channel == id)?;
            Some((ChannelHandle { index, generation: channel.generation }, channel))
        });
        found.ok_or(HostFault { what: What::UnknownChannel(kind, id), ends: Ends::Nothing })
    }

    pub(super) fn fail_channel(&mut self, id: ChannelId) {
        if let Ok((_, channel)) = self.meant(Kind::OFFER_CHANNEL, id)
            && channel.state != ChannelState::Rescinded
        {
            channel.state = ChannelState::Failed;
        }
    }

    pub(super) fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    pub(super) fn on_offer(&mut self, offer: &Offer) -> Result<Event, HostFault> {
        if self.offers == Offers::NotRequested {
            return Err(unexpected(Kind::OFFER_CHANNEL));
        }
        let id = offer.channel;
        if self.meant(Kind::OFFER_CHANNEL, id).is_ok() {
            return Err(HostFault { what: What::DuplicateOffer(id), ends: Ends::Channel(id) });
        }
        let generation = self.next_generation();
        let Some((index, entry)) =
            self.channels.iter_mut().enumerate().find(|(_, entry)| entry.is_none())
        else {
            self.figures.offers_dropped = self.figures.offers_dropped.saturating_add(1);
            return Ok(Event::OfferDropped(id));
        };
        *entry = Some(Channel::new(*offer, generation));
        Ok(Event::Offered(ChannelHandle { index, generation }))
    }

    pub(super) fn on_rescind(&mut self, id: ChannelId) -> Result<Event, HostFault> {
        let (handle, channel) = self.meant(Kind::RESCIND_CHANNEL_OFFER, id)?;
        if channel.state == ChannelState::Rescinded {
            return Err(HostFault { what: What::RescindedTwice(id), ends: Ends::Nothing });
        }
        channel.state = ChannelState::Rescinded;
        channel.modifying = None;
        channel.ring = None;
        Ok(Event::Rescinded(handle))
    }
}

impl fmt::Debug for ChannelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelHandle({}.{})", self.index, self.generation)
    }
}
