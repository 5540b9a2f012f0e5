// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a scenario did not succeed.

use core::fmt::{self, Display, Formatter};

/// A reason, with the numbers that show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A device that the scenario needs is not there.
    NoDevice(&'static str),
    /// A device lacks something every such device has.
    BadDevice(&'static str),
    /// There is no scenario of that name.
    NoScenario,
    /// More doorbell entries asked for than the device has.
    TooManyEntries { wanted: u16, available: u16 },
    /// Waiting for this was given up.
    TimedOut(&'static str),
    /// The device's outside end gave up a command.
    Aborted(u32),
    /// An entry stayed masked although it was to be unmasked.
    Refused(u16),
    /// Interrupts of an entry are too few or too many.
    Count { entry: u16, wanted: u64, handled: u64 },
    /// An entry had more interrupts than it was rung.
    Invented { entry: u16, rung: u64, handled: u64 },
    /// Entries that must be silent are not.
    NotSilent { handled: u64 },
    /// Interrupts that no source belongs to.
    Unexpected { vector: u8, handled: u64 },
    /// An instruction did something else than it must.
    Instruction(&'static str),
    /// The hypervisor did something else than it must.
    Hypercall(&'static str),
    /// A device reached what it must not, or not what it must.
    Dma(&'static str),
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice(device) => write!(f, "no-device device={device}"),
            Self::BadDevice(what) => write!(f, "bad-device what={what}"),
            Self::NoScenario => write!(f, "no-such-scenario"),
            Self::TooManyEntries { wanted, available } => {
                write!(f, "too-many-entries wanted={wanted} available={available}")
            }
            Self::TimedOut(what) => write!(f, "timed-out waiting_for=\"{what}\""),
            Self::Aborted(code) => write!(f, "aborted code={code}"),
            Self::Refused(entry) => write!(f, "refused entry={entry}"),
            Self::Count { entry, wanted, handled } => {
                write!(f, "count entry={entry} wanted={wanted} handled={handled}")
            }
            Self::Invented { entry, rung, handled } => {
                write!(f, "invented entry={entry} rung={rung} handled={handled}")
            }
            Self::NotSilent { handled } => write!(f, "not-silent handled={handled}"),
            Self::Unexpected { vector, handled } => {
                write!(f, "unexpected vector={vector} handled={handled}")
            }
            Self::Hypercall(what) => write!(f, "hypercall what=\"{what}\""),
            Self::Dma(what) => write!(f, "dma what=\"{what}\""),
            Self::Instruction(name) => write!(f, "instruction name={name}"),
        }
    }
}
