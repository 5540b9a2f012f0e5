// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which message may come in which state.

use super::{Client, ConnectionState, Event, connection::unexpected};
use crate::{
    fault::{Ends, HostFault, What},
    message::{HostMessage, Kind, Malformed},
};

impl<const CHANNELS: usize, const GPADLS: usize> Client<CHANNELS, GPADLS> {
    pub(super) fn dispatch(&mut self, bytes: &[u8]) -> Result<Event, HostFault> {
        let message = match HostMessage::parse(bytes) {
            Ok(message) => message,
            Err(malformed) => return Err(self.malformed(malformed)),
        };
        match (self.connection, message) {
            (ConnectionState::Unloading, HostMessage::UnloadComplete) => Ok(self.on_unloaded()),
            (ConnectionState::Unloading | ConnectionState::Failed(_), _) => Ok(Event::Late),
            (ConnectionState::Contacting, HostMessage::VersionResponse(response)) => {
                self.on_version_response(&response)
            }
            (ConnectionState::Connected(_), message) => self.on_connected(&message),
            (ConnectionState::Contacting, message) => Err(unexpected(kind(&message))),
            (ConnectionState::Disconnected, message) => {
                let what = What::Unexpected(kind(&message));
                Err(HostFault { what, ends: Ends::Nothing })
            }
        }
    }

    fn on_connected(&mut self, message: &HostMessage) -> Result<Event, HostFault> {
        match message {
            HostMessage::Offer(offer) => self.on_offer(offer),
            HostMessage::Rescind(channel) => self.on_rescind(*channel),
            HostMessage::AllOffersDelivered => self.on_offers_delivered(),
            HostMessage::OpenResult(result) => self.on_open_result(result),
            HostMessage::GpadlCreated(created) => self.on_gpadl_created(created),
            HostMessage::GpadlTorndown(gpadl) => self.on_gpadl_torn_down(*gpadl),
            HostMessage::CloseReservedResponse(channel) => self.on_reserved_closed(*channel),
            HostMessage::ModifyChannelResponse(response) => self.on_channel_modified(response),
            HostMessage::ModifyConnectionResponse(state) => self.on_connection_modified(*state),
            HostMessage::PauseResponse => self.on_paused(),
            HostMessage::VersionResponse(_) | HostMessage::UnloadComplete => {
                Err(unexpected(kind(message)))
            }
        }
    }

    /// A type that is not known is dropped, for hosts are newer than clients; a known one that is cut
    /// short ends the connection, for nobody knows what it would have said. Without a connection
    /// there is nothing to end.
    fn malformed(&self, malformed: Malformed) -> HostFault {
        let connected =
            matches!(self.connection, ConnectionState::Connected(_) | ConnectionState::Contacting);
        let ends = match malformed {
            Malformed::TooShort { .. } | Malformed::Boolean(_) if connected => Ends::Connection,
            _ => Ends::Nothing,
        };
        HostFault { what: What::Malformed(malformed), ends }
    }
}

fn kind(message: &HostMessage) -> Kind {
    match message {
        HostMessage::Offer(_) => Kind::OFFER_CHANNEL,
        HostMessage::Rescind(_) => Kind::RESCIND_CHANNEL_OFFER,
        HostMessage::AllOffersDelivered => Kind::ALL_OFFERS_DELIVERED,
        HostMessage::OpenResult(_) => Kind::OPEN_CHANNEL_RESULT,
        HostMessage::GpadlCreated(_) => Kind::GPADL_CREATED,
        HostMessage::GpadlTorndown(_) => Kind::GPADL_TORNDOWN,
        HostMessage::VersionResponse(_) => Kind::VERSION_RESPONSE,
        HostMessage::UnloadComplete => Kind::UNLOAD_COMPLETE,
        HostMessage::CloseReservedResponse(_) => Kind::CLOSE_RESERVED_CHANNEL_RESPONSE,
        HostMessage::ModifyChannelResponse(_) => Kind::MODIFY_CHANNEL_RESPONSE,
        HostMessage::ModifyConnectionResponse(_) => Kind::MODIFY_CONNECTION_RESPONSE,
        HostMessage::PauseResponse => Kind::PAUSE_RESPONSE,
    }
}
