// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a pin leads: a global system interrupt, which is an input of one of the I/O APICs, and how
//! that input has to be configured.

/// When an input asks for an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At each change to active.
    Edge,
    /// As long as it is active.
    Level,
}

/// What is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// The high level.
    High,
    /// The low level.
    Low,
}

/// What in the tables said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A routing table that names the global system interrupt.
    Table,
    /// A link device that was in use already.
    Link,
    /// A link device that was switched on for this.
    LinkSet,
}

/// Where a pin leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The global system interrupt.
    pub gsi: u32,
    /// How it triggers.
    pub trigger: Trigger,
    /// What is active.
    pub polarity: Polarity,
    /// What said so.
    pub source: Source,
}

impl Trigger {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Edge => 1,
            Self::Level => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Edge),
            2 => Some(Self::Level),
            _ => None,
        }
    }
}

impl Polarity {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::High => 1,
            Self::Low => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::High),
            2 => Some(Self::Low),
            _ => None,
        }
    }
}

impl Source {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Table => 1,
            Self::Link => 2,
            Self::LinkSet => 3,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Table),
            2 => Some(Self::Link),
            3 => Some(Self::LinkSet),
            _ => None,
        }
    }
}
