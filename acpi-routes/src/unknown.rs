// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why it is not known where a pin leads. All of these are the tables' doing, and so the host's.

use core::fmt;

/// Why it is not known where a pin leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The tables could not be loaded or switched to I/O APICs.
    Tables,
    /// The tables have no root bridge for the root bus.
    RootBus,
    /// Neither the bus of the function nor one above it has an entry for the pin.
    NoEntry,
    /// A routing table could not be evaluated.
    TableFailed,
    /// The entry for the pin is not what an entry has to be.
    BadEntry,
    /// The entry names a link device that is not there.
    NoLink,
    /// The link device could not be evaluated, or says of itself what is none of the possibilities.
    LinkFailed,
    /// The link device was switched on, and says that it is not.
    LinkRefused,
    /// The question is none.
    Question,
}

impl Unknown {
    /// All of them, in the order of their codes.
    const ALL: [Self; 9] = [
        Self::Tables,
        Self::RootBus,
        Self::NoEntry,
        Self::TableFailed,
        Self::BadEntry,
        Self::NoLink,
        Self::LinkFailed,
        Self::LinkRefused,
        Self::Question,
    ];

    pub(crate) fn code(self) -> u8 {
        (1..).zip(Self::ALL).find(|(_, other)| *other == self).map_or(0, |(code, _)| code)
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tables => "the tables cannot be loaded",
            Self::RootBus => "the tables have no such root bus",
            Self::NoEntry => "no routing table has an entry for the pin",
            Self::TableFailed => "the routing table cannot be evaluated",
            Self::BadEntry => "the routing table's entry is malformed",
            Self::NoLink => "the link device is missing",
            Self::LinkFailed => "the link device cannot be evaluated",
            Self::LinkRefused => "the link device does not take its setting",
            Self::Question => "the question is malformed",
        })
    }
}
