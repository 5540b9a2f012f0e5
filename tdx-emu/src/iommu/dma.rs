// SPDX-License-Identifier: MIT OR Apache-2.0
//! Remapping of DMA, by the unit that QEMU's `intel-iommu` is.
//!
//! There is one domain: the TD's shared memory, at its guest-physical addresses without the shared
//! bit. The TD's devices are in it. Every other function of the machine is in none, for L0 needs no
//! DMA of its own. What a device asks for beyond that is refused by the unit and recorded; the
//! records are read at each fault event, and once more when the run ends.
//!
//! Interrupts are not remapped by the unit: messages go to their CPU as they are, past the tables.
//!
//! Spec: VT-D "DMA Remapping", "Fault Logging".

/// Fields of structures in memory.
mod bytes;

/// Where the firmware says that the unit is.
mod dmar;

/// Registers and commands.
mod unit;

/// Which device is in which domain.
mod entries;

/// What the devices of a domain reach.
mod second_level;

/// Requests that were refused.
mod fault;

/// The unit of this machine.
#[cfg(target_os = "none")]
mod confinement;

#[cfg(target_os = "none")]
pub(crate) use self::confinement::{
    Failure, collect_faults, confine, enable, find, map, take_faults_by_interrupt, unmap,
};
pub(crate) use self::fault::Fault;
#[cfg(test)]
pub(crate) use self::fault::SourceId;
