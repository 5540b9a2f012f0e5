// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IOMMU: DMA remapping by QEMU's unit, and what that one lacks, interrupt remapping with
//! posting.
//!
//! QEMU's `intel-iommu` posts no interrupts, so each device interrupts L0 with a vector of its own,
//! and L0 does at once what the hardware would do: it looks the vector up in a table, sets the TD's
//! vector in the virtual CPU's posted-interrupt descriptor, and notifies the CPU that runs it. The
//! host has no part in it.
//!
//! DMA is remapped by QEMU's own unit, if the machine has one: see `dma`.
//!
//! Spec: VT-D "Interrupt Remapping", "Interrupt Posting".

/// Which vector of which virtual CPU a physical vector stands for.
pub(crate) mod remapping;

/// Setting a vector in a descriptor.
pub(crate) mod posting;

/// Which memory devices reach.
pub(crate) mod dma;

/// Devices' interrupts and notifications, as they arrive.
#[cfg(target_os = "none")]
mod arrival;

#[cfg(target_os = "none")]
pub(crate) use self::arrival::{
    Called, NOTIFICATION_VECTOR, deliver, enable, remap, ring, set_proxy, settle, source,
};
