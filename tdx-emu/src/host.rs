// SPDX-License-Identifier: MIT OR Apache-2.0
//! The untrusted host: builds the TD, runs its virtual CPUs, answers what the TD asks.
//!
//! Flavour `ghci`: it knows the GHCI and nothing else. It owns the devices and gives some of them to
//! the TD, whose interrupts the IOMMU posts without it. Flavour `hyperv`: it speaks to L1 as Hyper-V does,
//! and posts only what L1 asked it to; see `hyperv.rs`.
//!
//! Spec: GHCI; TDX-BASE "TD Build and Boot".

/// The emulator's command line.
pub(crate) mod command_line;

/// From the command line to running virtual CPUs.
#[cfg(target_os = "none")]
mod start;

/// Builds the TD.
#[cfg(target_os = "none")]
mod build_td;

/// The memory that the TD is told of.
mod hand_off;

/// Builds a virtual CPU.
#[cfg(target_os = "none")]
mod build_vcpu;

/// Pages that the host writes through Rust types.
#[cfg(target_os = "none")]
mod staging;

/// The TD.
#[cfg(target_os = "none")]
mod td;

/// A virtual CPU.
#[cfg(target_os = "none")]
mod vcpu;

/// Enter, exit, handle.
#[cfg(target_os = "none")]
mod vcpu_loop;

/// Memory that is not there.
#[cfg(target_os = "none")]
mod ept_violation;

/// Private memory of the TD.
#[cfg(target_os = "none")]
mod private_memory;

/// The shared EPT.
mod shared_ept;

/// Shared memory of the TD.
#[cfg(target_os = "none")]
mod shared_memory;

/// What the TD asks for.
#[cfg(target_os = "none")]
mod tdvmcall;

/// What a TD exit asks of the host.
#[cfg(any(target_os = "none", test))]
mod td_exit;

/// NMIs, and what ends a halt.
#[cfg(any(target_os = "none", test))]
mod nmi;

/// Registers of the local APIC that are the host's.
mod apic;

/// What a virtual CPU waits for.
#[cfg(target_os = "none")]
mod timer;

/// Devices given to the TD.
pub(crate) mod pci;

/// The configuration device that it reaches.
mod fw_cfg;

/// The IO-APIC that it reaches.
pub(crate) mod io_apic;

/// A serial port.
mod uart;

/// The TD's consoles.
#[cfg(target_os = "none")]
mod console;

/// How quotes are made.
mod quote_manner;

/// Quotes that are not made yet.
#[cfg(any(target_os = "none", test))]
mod quote_queue;

/// Quotes that are none.
#[cfg(target_os = "none")]
mod quote;

/// What a host of Hyper-V's kind has more.
mod hyperv;

/// Every vector on every virtual CPU.
#[cfg(any(target_os = "none", test))]
mod campaign;

/// What the host does to test L1.
#[cfg(target_os = "none")]
mod hostile;

/// What a seed makes of the host.
#[cfg(any(target_os = "none", test))]
mod whims;

/// What that does to the TD.
#[cfg(target_os = "none")]
mod deeds;

/// The end of the run.
#[cfg(target_os = "none")]
mod end;

#[cfg(target_os = "none")]
pub(crate) use self::start::start;
