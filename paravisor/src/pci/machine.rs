// SPDX-License-Identifier: MIT OR Apache-2.0
//! What L1 needs from the machine: configuration space, device memory, ports, mappings.
//!
//! The bare-metal side answers by TDVMCALLs and the relay's control plane, the tests by a model.

use super::{
    address::Bdf,
    message::{Message, Nonsense, Target},
};
use alloc::vec::Vec;
use core::fmt;

/// One register of configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Whose.
    pub bdf: Bdf,
    /// Its offset.
    pub offset: u8,
    /// Bytes: 1, 2 or 4.
    pub size: u8,
}

/// An address of device memory, without the shared bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its guest-physical address.
    pub gpa: u64,
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
}

/// One interrupt of one function: its MSI-X entry, or 0 for MSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The function.
    pub bdf: Bdf,
    /// The entry.
    pub entry: u16,
}

/// Why an interrupt stays masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// L2's message means nothing.
    Message(Nonsense),
    /// No reserved vector is left, neither on the CPU nor on another one.
    Full(Target),
}

/// The machine around the functions.
pub trait Machine {
    /// One mapping of a vector of L2 to a reserved vector of L1. Not `Clone`: it is given back once.
    type Mapping;

    /// Reads a register, as the host answers.
    fn config_read(&mut self, register: Register) -> u32;

    /// Writes a register.
    fn config_write(&mut self, register: Register, value: u32);

    /// Reads device memory, as the host answers.
    fn memory_read(&mut self, location: Location) -> u64;

    /// Writes device memory.
    fn memory_write(&mut self, location: Location, value: u64);

    /// Reads one of a device's ports, as the host answers; `size` is 1, 2 or 4 bytes.
    fn port_read(&mut self, port: u16, size: u8) -> u32;

    /// Writes one of a device's ports.
    fn port_write(&mut self, port: u16, size: u8, value: u32);

    /// Number of L2's virtual CPUs.
    fn cpus(&self) -> u32;

    /// Maps a vector. Interrupts are relayed from here on.
    ///
    /// # Errors
    /// `Refusal::Full` when neither the CPU nor another one has a reserved vector left for it.
    fn map(&mut self, target: Target, source: Source) -> Result<Self::Mapping, Refusal>;

    /// The message that `source` must send for `mapping`.
    fn message(&self, source: Source, mapping: &Self::Mapping) -> Message;

    /// Has the host bring what `source` sends to where `mapping` leads, if the message alone does not say so.
    /// The device has the message by now. What comes back is the mapping that it has then: a host that refuses one
    /// way may grant another.
    fn steer(&mut self, _source: Source, mapping: Self::Mapping) -> Self::Mapping {
        mapping
    }

    /// Whether `mapping` is not by a reserved vector of the target CPU itself.
    fn is_detour(&self, mapping: &Self::Mapping) -> bool;

    /// Whether interrupts come by `one` in the way in which they come by `other`.
    fn is_same_way(&self, one: &Self::Mapping, other: &Self::Mapping) -> bool;

    /// Gives a mapping back. The device does not use it any more.
    fn unmap(&mut self, mapping: Self::Mapping);

    /// Gives back all mappings that function `bdf` has. It does not use them any more.
    fn unmap_all(&mut self, bdf: Bdf, mappings: Vec<Self::Mapping>);

    /// Notes that `source` stays masked.
    fn refused(&mut self, source: Source, why: Refusal);

    /// Takes back that `target` was refused to `source`, which no longer asks for it.
    fn forget_refusal(&mut self, target: Target, source: Source);
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(part) => write!(f, "reason=message part={part}"),
            Self::Full(target) => {
                write!(f, "reason=full vector={} cpu={}", target.vector.get(), target.cpu)
            }
        }
    }
}
