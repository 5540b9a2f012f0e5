// SPDX-License-Identifier: MIT OR Apache-2.0
//! PCI functions of bus 0, found and configured through ports 0xcf8 and 0xcfc.
//!
//! Spec: PCI "Configuration Space", "Message Signaled Interrupts".

/// The address and data a device writes to raise an interrupt.
pub(crate) mod message;

/// Reads, writes and scans configuration space.
#[cfg(target_os = "none")]
mod function;

/// The MSI capability: one message.
#[cfg(target_os = "none")]
mod msi;

/// The MSI-X capability: a table of messages in device memory.
#[cfg(target_os = "none")]
mod msix;

#[cfg(target_os = "none")]
pub(crate) use self::{
    function::{Function, Id, find, find_all},
    msi::Msi,
    msix::MsiX,
};
