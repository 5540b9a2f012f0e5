// SPDX-License-Identifier: MIT OR Apache-2.0
extern crate alloc;

use super::*;

/// A host that keeps the rules, written from the table of messages.
mod honest_host;

/// Whole lives of connections and channels.
mod life;

/// SynIC, client and rings together.
mod echo;

/// Hosts that do not keep the rules.
mod hostile;

use honest_host::Host;

type Small = Client<4, 4>;

fn config() -> Config {
    Config {
        contact: ConnectionId::CONTACT,
        newest: Version::V6_0,
        oldest: Version::V5_2,
        features: Features::MODIFY_CONNECTION
            | Features::GUEST_SPECIFIED_SIGNAL_PARAMETERS
            | Features::CHANNEL_INTERRUPT_REDIRECTION
            | Features::PAUSE_RESUME,
        target_vp: 0,
        sint: 7,
        vtl: 2,
        monitor_pages: Some(MonitorPages { parent_to_child: 0x1000, child_to_parent: 0x2000 }),
        client_id: Guid::default(),
    }
}
