// SPDX-License-Identifier: MIT OR Apache-2.0
//! Versions of the protocol, and the features that the newest of them adds.

use core::fmt;

use bitflags::bitflags;

/// A version, as it stands in messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

impl Version {
    /// 5.2: the oldest that is offered. Older ones have no message port of their own.
    pub const V5_2: Self = Self::new(5, 2);
    /// 5.3: changes of a channel are answered.
    pub const V5_3: Self = Self::new(5, 3);
    /// 6.0: features.
    pub const V6_0: Self = Self::new(6, 0);

    /// All that this client speaks, newest first.
    pub const ALL: [Self; 3] = [Self::V6_0, Self::V5_3, Self::V5_2];

    const fn new(major: u16, minor: u16) -> Self {
        Self((major as u32) << 16 | minor as u32)
    }

    /// Returns the number of the protocol.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Returns the next older version that this client speaks.
    pub(crate) fn older(self) -> Option<Self> {
        Self::ALL.into_iter().find(|version| *version < self)
    }

    /// Whether the host answers a change of a channel's target.
    pub(crate) fn answers_modify_channel(self) -> bool {
        self >= Self::V5_3
    }

    /// Whether features exist.
    pub(crate) fn has_features(self) -> bool {
        self >= Self::V6_0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> 16, self.0 & 0xffff)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

bitflags! {
    /// What the client asks for and the host grants.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Features: u32 {
        /// The client chooses event flag and connection of a channel.
        const GUEST_SPECIFIED_SIGNAL_PARAMETERS = 1 << 0;
        /// Interrupts of a channel can be redirected to another trust level and SINT.
        const CHANNEL_INTERRUPT_REDIRECTION = 1 << 1;
        /// The monitor pages can be changed while connected.
        const MODIFY_CONNECTION = 1 << 2;
        /// The client says who it is.
        const CLIENT_ID = 1 << 3;
        /// Channels whose rings and buffers are private.
        const CONFIDENTIAL_CHANNELS = 1 << 4;
        /// The client can ask the host to be silent for a while.
        const PAUSE_RESUME = 1 << 5;
        /// The host chooses the monitor pages.
        const SERVER_SPECIFIED_MONITOR_PAGES = 1 << 6;
        /// Pages of a GPADL can be pinned.
        const GPA_PINNING = 1 << 7;
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_ladder_goes_down_and_ends() {
        assert_eq!(Version::V6_0.get(), 0x6_0000);
        assert_eq!(Version::V6_0.older(), Some(Version::V5_3));
        assert_eq!(Version::V5_3.older(), Some(Version::V5_2));
        assert_eq!(Version::V5_2.older(), None);
        assert_eq!(Version::V5_3.to_string(), "5.3");
    }
}
