// SPDX-License-Identifier: MIT OR Apache-2.0
//! PCI as L2 sees it: the host's devices, with L1 between them and their interrupts.
//!
//! Configuration space is the host's as far as the filter lets it through, except for the two
//! capabilities that say where a device sends its interrupts. There L2 reads what it wrote, and the
//! device gets a reserved vector of L1 instead. Nothing the host answers is trusted further than that
//! a wrong answer breaks the device it is about.
//!
//! Spec: PCI "Configuration Space", "MSI and MSI-X Operation".

/// Bus, device, function; and the address port 0xcf8.
pub mod address;

/// Messages as L2 writes them: which vector, which CPU, or nonsense.
pub mod message;

/// The list of capabilities, as the host wrote it.
pub mod capability;

/// What L2 sees of a function's configuration space, and what it may change.
pub mod filter;

/// Ports of a function.
pub mod ports;

/// The way of one interrupt: what L2 wants, what is mapped for it.
pub mod route;

/// The MSI capability.
pub mod msi;

/// The MSI-X capability.
pub mod msix;

/// The MSI-X table.
pub mod table;

/// What L1 needs from the machine: configuration space, device memory, ports, mappings.
pub mod machine;

/// One PCI function.
pub mod function;

/// The host bridge, which is L1's own.
pub mod host_bridge;

/// A machine for the tests of the modules above.
#[cfg(test)]
pub(crate) mod model;

/// All functions that L2 has.
pub mod bus;
