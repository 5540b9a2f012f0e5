// SPDX-License-Identifier: MIT OR Apache-2.0
//! The connection: offers, unload, monitor pages, silence.

use super::{Client, Config, Event, MonitorPages, Offers};
use crate::{
    fault::{Ends, HostFault, Refused, What},
    message::{
        ConnectionId, Kind, Outgoing,
        to_host::{ModifyConnection, Pause, RequestOffers, Resume, Unload},
    },
    version::{Features, Version},
};

/// What host and client agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The version.
    pub version: Version,
    /// Asked for, and granted.
    pub features: Features,
    /// Where messages are posted.
    pub connection: ConnectionId,
    /// The monitor pages, chosen by the client, or by the host if it was allowed to.
    pub monitor_pages: Option<MonitorPages>,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// There is none.
    Disconnected,
    /// A version is offered.
    Contacting,
    /// There is one.
    Connected(Negotiated),
    /// The host was asked to forget it; where that message went.
    Unloading,
    /// The host misbehaved, and nothing is believed any more. Unload goes where it went before.
    Failed(ConnectionId),
}

impl<const CHANNELS: usize, const GPADLS: usize> Client<CHANNELS, GPADLS> {
    /// Returns the agreement, if there is a connection.
    pub(super) fn negotiated(&self) -> Result<&Negotiated, Refused> {
        match &self.connection {
            ConnectionState::Connected(negotiated) => Ok(negotiated),
            _ => Err(Refused::ConnectionState),
        }
    }

    pub(super) fn granted(&self, feature: Features) -> bool {
        self.negotiated().is_ok_and(|negotiated| negotiated.features.contains(feature))
    }

    /// Asks for offers. Those of later, hot-added devices come by themselves.
    ///
    /// # Errors
    ///
    /// There is no connection, or the first list is not complete.
    pub fn request_offers(&mut self) -> Result<Outgoing, Refused> {
        let message = self.message(&RequestOffers {})?;
        if self.offers == Offers::Coming {
            return Err(Refused::Busy);
        }
        self.offers = Offers::Coming;
        Ok(message)
    }

    /// Ends the connection, whatever its state. From here on all answers but the last are late.
    ///
    /// # Errors
    ///
    /// There is no connection, or its end is already asked for.
    pub fn unload(&mut self) -> Result<Outgoing, Refused> {
        let connection = match &self.connection {
            ConnectionState::Connected(negotiated) => negotiated.connection,
            ConnectionState::Failed(connection) => *connection,
            ConnectionState::Contacting => self.config.contact,
            ConnectionState::Disconnected | ConnectionState::Unloading => {
                return Err(Refused::ConnectionState);
            }
        };
        self.connection = ConnectionState::Unloading;
        Ok(Outgoing::new(connection, &Unload {}))
    }

    /// Changes the monitor pages, or with `None` does without.
    ///
    /// # Errors
    ///
    /// There is no connection, the host did not grant it, or the last change is not answered.
    pub fn modify_connection(&mut self, pages: Option<MonitorPages>) -> Result<Outgoing, Refused> {
        let [parent_to_child, child_to_parent] = Config::addresses(pages);
        let message = self.message(&ModifyConnection { parent_to_child, child_to_parent })?;
        if !self.granted(Features::MODIFY_CONNECTION) {
            return Err(Refused::NotGranted);
        }
        if self.modifying_connection {
            return Err(Refused::Busy);
        }
        self.modifying_connection = true;
        self.config.monitor_pages = pages;
        Ok(message)
    }

    /// Asks the host to be silent.
    ///
    /// # Errors
    ///
    /// There is no connection, the host did not grant it, or it was asked already.
    pub fn pause(&mut self) -> Result<Outgoing, Refused> {
        let message = self.message(&Pause {})?;
        if !self.granted(Features::PAUSE_RESUME) {
            return Err(Refused::NotGranted);
        }
        if self.pausing {
            return Err(Refused::Busy);
        }
        self.pausing = true;
        Ok(message)
    }

    /// Ends the silence.
    ///
    /// # Errors
    ///
    /// There is no connection, or the host did not grant it.
    pub fn resume(&mut self) -> Result<Outgoing, Refused> {
        if !self.granted(Features::PAUSE_RESUME) {
            return Err(Refused::NotGranted);
        }
        self.message(&Resume {})
    }

    pub(super) fn on_offers_delivered(&mut self) -> Result<Event, HostFault> {
        if self.offers != Offers::Coming {
            return Err(unexpected(Kind::ALL_OFFERS_DELIVERED));
        }
        self.offers = Offers::Delivered;
        Ok(Event::OffersDelivered)
    }

    pub(super) fn on_connection_modified(&mut self, state: u8) -> Result<Event, HostFault> {
        if !core::mem::take(&mut self.modifying_connection) {
            return Err(unexpected(Kind::MODIFY_CONNECTION_RESPONSE));
        }
        let pages = self.config.monitor_pages;
        match &mut self.connection {
            ConnectionState::Connected(negotiated) if state == 0 => {
                negotiated.monitor_pages = pages;
                Ok(Event::ConnectionModified)
            }
            _ => Ok(Event::ConnectionModifyRefused(state)),
        }
    }

    pub(super) fn on_paused(&mut self) -> Result<Event, HostFault> {
        if core::mem::take(&mut self.pausing) {
            Ok(Event::Paused)
        } else {
            Err(unexpected(Kind::PAUSE_RESPONSE))
        }
    }

    pub(super) fn on_unloaded(&mut self) -> Event {
        self.reset();
        Event::Unloaded
    }

    /// Carries out the end that a fault asks for.
    pub(super) fn apply(&mut self, ends: Ends) {
        match ends {
            Ends::Nothing => {}
            Ends::Channel(channel) => self.fail_channel(channel),
            Ends::Connection => {
                let connection =
                    self.negotiated().map_or(self.config.contact, |agreed| agreed.connection);
                self.connection = ConnectionState::Failed(connection);
            }
        }
    }

    /// Drops all that hangs on a connection.
    pub(super) fn forget(&mut self) {
        self.version = self.config.newest;
        self.offers = Offers::NotRequested;
        self.modifying_connection = false;
        self.pausing = false;
        self.channels = [const { None }; CHANNELS];
        self.gpadls = [const { None }; GPADLS];
    }
}

/// An answer to nothing, which ends the connection: its two ends no longer agree on its state.
pub(super) fn unexpected(kind: Kind) -> HostFault {
    HostFault { what: What::Unexpected(kind), ends: Ends::Connection }
}
