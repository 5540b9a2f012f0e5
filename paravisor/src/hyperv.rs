// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interface of Hyper-V that L1 offers to a guest that asks for it: "TDX with paravisor".
//!
//! Only what such a guest needs to decide what the host may see, and to know the time. There is no
//! VMBus and no synthetic interrupt controller: devices are ordinary PCI functions, interrupts come
//! through x2APIC.
//!
//! Names are those of the specification.
//!
//! Spec: TLFS.

/// What CPUID says.
pub mod cpuid;

/// The synthetic registers.
pub mod msr;

/// Time from the TSC, for the guest to compute by itself.
pub mod reference_tsc;

/// The page that the guest calls.
pub mod hypercall_page;

/// What a call asks for, and how it is answered.
pub mod hypercall;

/// Status of a call.
pub mod status;

/// `HvCallModifySparseGpaPageHostVisibility`.
pub mod visibility;

/// What the guest asks for by TDCALL.
pub mod tdvmcall;
