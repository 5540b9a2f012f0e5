// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contact: the versions from the newest down, until the host says yes.

use zerocopy::little_endian::{U16, U32, U64};

use super::{Client, Config, ConnectionState, Event, MonitorPages, Negotiated};
use crate::{
    fault::{HostFault, Refused},
    message::{
        Outgoing,
        from_host::{Supported, VersionResponse},
        to_host::{InitiateContact, InitiateContactWithClientId},
    },
    version::{Features, Version},
};

impl Config {
    /// The two addresses, 0 for none.
    pub(super) fn addresses(pages: Option<MonitorPages>) -> [U64; 2] {
        pages.map_or([0; 2], |pages| [pages.parent_to_child, pages.child_to_parent]).map(U64::new)
    }

    fn features_of(&self, version: Version) -> Features {
        if version.has_features() { self.features } else { Features::empty() }
    }

    fn initiate_contact(&self, version: Version) -> Outgoing {
        let features = self.features_of(version);
        let [parent_to_child, child_to_parent] = Self::addresses(self.monitor_pages);
        let base = InitiateContact {
            version: U32::new(version.get()),
            target_vp: U32::new(self.target_vp),
            sint: self.sint,
            vtl: self.vtl,
            padding: U16::ZERO,
            features: U32::new(features.bits()),
            parent_to_child,
            child_to_parent,
        };
        if features.contains(Features::CLIENT_ID) {
            let body = InitiateContactWithClientId { base, client: self.client_id };
            Outgoing::new(self.contact, &body)
        } else {
            Outgoing::new(self.contact, &base)
        }
    }
}

impl<const CHANNELS: usize, const GPADLS: usize> Client<CHANNELS, GPADLS> {
    /// Offers the newest version; after [`Event::VersionRefused`], the next older one.
    ///
    /// # Errors
    ///
    /// There is a connection, or one is being made or ended; or the versions of the configuration
    /// make no sense.
    pub fn initiate_contact(&mut self) -> Result<Outgoing, Refused> {
        if self.connection != ConnectionState::Disconnected {
            return Err(Refused::ConnectionState);
        }
        let version = self.version;
        if !Version::ALL.contains(&version) || version < self.config.oldest {
            return Err(Refused::Version(version));
        }
        self.connection = ConnectionState::Contacting;
        Ok(self.config.initiate_contact(version))
    }

    pub(super) fn on_version_response(
        &mut self,
        response: &VersionResponse,
    ) -> Result<Event, HostFault> {
        let version = self.version;
        self.connection = ConnectionState::Disconnected;
        if response.supported == Supported::No {
            let older = version.older().filter(|older| *older >= self.config.oldest);
            return Ok(match older {
                Some(older) => {
                    self.version = older;
                    Event::VersionRefused(version)
                }
                None => self.contact_failed(response.state),
            });
        }
        if response.state != 0 {
            return Ok(self.contact_failed(response.state));
        }
        let negotiated = self.agree(version, response);
        self.connection = ConnectionState::Connected(negotiated);
        log::info!("vmbus: connected: version={version} features={:?}", negotiated.features);
        Ok(Event::Connected(negotiated))
    }

    fn contact_failed(&mut self, state: u8) -> Event {
        self.version = self.config.newest;
        Event::ContactFailed(state)
    }

    /// Of what the host offers, takes what was asked for.
    fn agree(&self, version: Version, response: &VersionResponse) -> Negotiated {
        let features = Features::from_bits_truncate(response.features.unwrap_or(0))
            & self.config.features_of(version);
        let of_host = response
            .monitor_pages
            .filter(|_| features.contains(Features::SERVER_SPECIFIED_MONITOR_PAGES))
            .map(|(parent_to_child, child_to_parent)| MonitorPages {
                parent_to_child,
                child_to_parent,
            });
        Negotiated {
            version,
            features,
            connection: response.connection,
            monitor_pages: of_host.or(self.config.monitor_pages),
        }
    }
}
