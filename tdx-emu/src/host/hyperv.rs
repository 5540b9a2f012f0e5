// SPDX-License-Identifier: MIT OR Apache-2.0
//! The flavour `hyperv`: a host that speaks to L1 as Hyper-V does.
//!
//! ```text
//!  TDVMCALL CPUID ─▶ identity                      RDMSR, WRMSR ─▶ synic
//!  R10 ≠ 0 ─▶ hypercall ─┬─ PostMessage ─▶ vmbus ─▶ synic ─▶ message page, vector
//!                        ├─ SignalEvent ─▶ vmbus ─▶ rings ─▶ synic ─▶ event flags, vector
//!                        ├─ RetargetDeviceInterrupt ─▶ routes of devices
//!                        └─ Get-, SetVpRegisters ─▶ vp_registers
//!  device's message that is not posted ─▶ synic ─▶ message that asks L1 to pass it on
//! ```
//!
//! L1 may be wrong or hostile as anybody: what it names is checked, what it sends is copied once, and
//! what it may make the host keep is bounded.
//!
//! Spec: TLFS; VMBUS; GHCI "TDG.VP.VMCALL Interface".

/// What can be chosen.
mod options;

/// What a hypercall answers.
pub(crate) mod status;

/// What the host does to the TD.
pub(crate) mod guest;

/// The synthetic interrupt controller.
pub(crate) mod synic;

/// Who the host says it is.
pub(crate) mod cpuid;

/// The form of a hypercall.
pub(crate) mod hypercall;

/// Registers by name.
pub(crate) mod vp_registers;

/// Where messages of devices go.
pub(crate) mod retarget;

/// VMBus.
pub(crate) mod vmbus;

/// The TD as a partition.
pub(crate) mod partition;

/// The TD itself.
#[cfg(target_os = "none")]
pub(crate) mod hands;

pub(crate) use self::options::Options;
#[cfg(target_os = "none")]
pub(crate) use self::partition::Partition;
