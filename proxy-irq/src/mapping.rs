// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the control plane hands out and what it says about it.

use core::fmt;

use crate::reserved_vector::{L2Vector, ReservedVector, Slot};

/// Who raises an interrupt: a device and which of its interrupts. The numbers are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The device, for instance its requester id.
    pub device: u32,
    /// The interrupt of that device, for instance its MSI-X entry.
    pub entry: u32,
}

/// One reference to a posted mapping; it is given back by [`Relay::unmap`](crate::map::Relay::unmap).
///
/// Neither `Clone` nor `Copy`: there are as many as there are references.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a mapping that is dropped keeps its slot for ever"]
pub struct Mapping {
    /// The CPU whose slot it is.
    pub(crate) taker: usize,
    /// The CPU that it ends on.
    pub(crate) cpu: usize,
    pub(crate) slot: Slot,
    pub(crate) reserved: ReservedVector,
    pub(crate) vector: L2Vector,
    pub(crate) source: Source,
    pub(crate) generation: u32,
}

impl Mapping {
    /// Returns the vector for the device's message; the slot behind it is already published.
    #[must_use]
    pub const fn reserved_vector(&self) -> ReservedVector {
        self.reserved
    }

    /// Returns the index of the CPU that the device's message must go to.
    #[must_use]
    pub const fn message_cpu(&self) -> usize {
        self.taker
    }

    /// Returns the index of the CPU on which L2 gets the interrupt.
    #[must_use]
    pub const fn cpu(&self) -> usize {
        self.cpu
    }

    /// Returns whether the interrupt arrives on the CPU itself or is passed on by another.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.taker == self.cpu { Mode::Posted } else { Mode::Remote }
    }

    /// Returns the vector that L2 gets.
    #[must_use]
    pub const fn vector(&self) -> L2Vector {
        self.vector
    }

    /// Returns who raises the interrupt.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// Returns which use of the slot this is.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }
}

/// One reference to a vector's permission to arrive by the proxy path; it is given back by
/// [`Relay::revoke`](crate::map::Relay::revoke).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a grant that is dropped leaves the filter open for ever"]
pub struct Grant {
    pub(crate) cpu: usize,
    pub(crate) vector: L2Vector,
    pub(crate) source: Source,
}

impl Grant {
    /// Returns the index of the CPU on which L2 gets the interrupt.
    #[must_use]
    pub const fn cpu(&self) -> usize {
        self.cpu
    }

    /// Returns the vector that L2 gets.
    #[must_use]
    pub const fn vector(&self) -> L2Vector {
        self.vector
    }

    /// Returns who raises the interrupt.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }
}

/// An interrupt that could have a slot of its own CPU, and has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The index of the CPU.
    pub cpu: usize,
    /// The vector that L2 gets there, or would.
    pub vector: L2Vector,
    /// Who raises the interrupt.
    pub source: Source,
}

/// How interrupts of a source reach L2 now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// On a reserved vector of the target CPU itself.
    Posted,
    /// On a reserved vector of another CPU, which passes them on.
    Remote,
    /// As messages of the host.
    Proxied,
    /// Not at all; the source stays masked and L2 can see that it is.
    Refused,
    /// Not any more; the slot is waiting for its owner.
    Unmapping,
    /// Not any more; the owner has not answered and the slot is out of use until it does.
    Quarantined,
}

/// Why a source has the [`Mode`] that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The target CPU had a free slot.
    SlotFree,
    /// The caller asked for the proxy path.
    Asked,
    /// All slots of the target CPU were taken.
    BlockFull,
    /// The mapping was given back.
    Released,
    /// The owner of the slot did not answer in time.
    OwnerSilent,
    /// The host does not post, or refused to post this one.
    NotOffered,
}

/// What the control plane knows of one source on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The index of the CPU on which L2 gets it.
    pub cpu: usize,
    /// The index of the CPU that takes it: another one in mode [`Mode::Remote`].
    pub taker: usize,
    /// The vector that L2 has chosen.
    pub vector: L2Vector,
    /// Who raises the interrupt.
    pub source: Source,
    /// How it arrives.
    pub mode: Mode,
    /// Why so.
    pub reason: Reason,
    /// The reserved vector, where there is one.
    pub reserved: Option<ReservedVector>,
    /// How many references there are; for a refusal, how often it was refused.
    pub references: u32,
    /// Which use of the slot this is; 0 where there is none.
    pub generation: u32,
    /// Whether interrupts wait for an unmask.
    pub masking: Masking,
}

/// Whether a mapping lets interrupts through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masking {
    /// They are relayed.
    #[default]
    Unmasked,
    /// They wait, merged into one, until the mapping is unmasked.
    Masked,
}

/// Why a source did not get what was asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MapError {
    /// There is no CPU of that index: the guest's fault.
    NoSuchCpu,
    /// All slots of the CPU are taken; the next rung of the ladder is the caller's to try.
    BlockFull,
    /// A quarantined slot of the CPU may yet relay that vector, on behalf of another source.
    Quarantined,
    /// The CPU's list of granted vectors is full.
    GrantsFull,
    /// The vector's last permission is being withdrawn on that CPU; try again once it is.
    Withdrawing,
    /// Too many references to the same mapping.
    TooManyReferences,
}

/// The handle belongs to no live mapping of this relay: the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

impl fmt::Display for MapError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSuchCpu => "no such CPU",
            Self::BlockFull => "all reserved vectors of the CPU are taken",
            Self::Quarantined => "the vector is in quarantine on the CPU",
            Self::GrantsFull => "too many proxied vectors on the CPU",
            Self::Withdrawing => "the vector is being withdrawn on the CPU",
            Self::TooManyReferences => "too many references to one mapping",
        })
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a live mapping of this relay")
    }
}

impl core::error::Error for MapError {}

impl core::error::Error for Stale {}
