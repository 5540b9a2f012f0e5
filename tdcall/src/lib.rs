// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest side of the TDX module ABI and of the GHCI, without policy.
//!
//! Everything goes through one door, the trait [`Tdcall`]: the functions of the module are free
//! functions in [`tdg`], the requests to the host in [`tdvmcall`], and both work with whatever
//! implements it. On the bare metal that is `Instruction`; in the tests of other crates it is
//! `fake::Fake` (feature `fake`).
//!
//! The words of the ABI (statuses, leaves, metadata fields, layouts) are also what an emulation of
//! the module speaks. `tests/abi.rs` holds them against the documents.
//!
//! ```
//! use tdcall::{Registers, Status, Tdcall, md, tdg, tdvmcall};
//!
//! /// What the first VM of a TD does first, through any door.
//! fn introduce(call: &impl Tdcall) -> Result<u64, Status> {
//!     let info = tdg::vp_info(call)?;
//!     let l2_vms = tdg::vm_rd(call, md::tdcs::NUM_L2_VMS)?;
//!     if l2_vms == 0 {
//!         // The host may refuse to print it; that is no reason to stop.
//!         let _ = tdvmcall::io_write(call, 0x3F8, tdvmcall::IoSize::Byte, b'!'.into());
//!     }
//!     Ok(info.shared_bit())
//! }
//!
//! /// A machine without TDX: the instruction raises #UD.
//! struct NoTdx;
//!
//! impl Tdcall for NoTdx {
//!     unsafe fn tdcall(&self, r: &mut Registers) {
//!         r.rax = Status::from_trap(6).0;
//!     }
//!     unsafe fn tdcall_with_interrupts(&self, r: &mut Registers) {
//!         r.rax = Status::from_trap(6).0;
//!     }
//!     unsafe fn enter(&self, _: u64, _: u64) -> Registers {
//!         Registers { rax: Status::from_trap(6).0, ..Registers::ZERO }
//!     }
//! }
//!
//! assert_eq!(introduce(&NoTdx).unwrap_err().trap(), Some(6));
//! ```
#![no_std]

#[cfg(test)]
extern crate std;

/// The registers that cross the border.
pub mod registers;

/// The raw call.
pub mod transport;

/// The instruction itself.
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
pub mod instruction;

/// What to do when the instruction raises an exception.
pub mod fixup;

/// A scripted module for tests.
#[cfg(any(test, feature = "fake"))]
pub mod fake;

/// Which function of the module.
pub mod leaf;

/// What the module answers.
pub mod status;

/// The functions of the module.
pub mod tdg;

/// What a guest asks of the host.
pub mod tdvmcall;

/// Metadata fields.
pub mod md;

/// An L2 VM of the TD.
pub mod vm_index;

/// Pages and their sizes.
pub mod page;

/// What each VM may do with a page.
pub mod gpa_attributes;

/// Why a VM stopped.
pub mod exit_reason;

/// What exactly happened.
pub mod exit_qualification;

/// Events of a virtual CPU.
pub mod interruption_info;

/// The state page of an L2 VM.
pub mod guest_state;

/// Entry flags and exit report of an L2 VM.
pub mod l2_exit;

/// Why a #VE was raised.
pub mod ve_info;

/// Where the host leaves interrupts.
pub mod posted_interrupt;

/// How a TD is configured.
pub mod td_params;

/// What a TD is, as evidence.
pub mod td_report;

pub use exit_qualification::{
    ControlRegisterAccess, ControlRegisterQualification, EptViolationQualification,
    ExtendedExitQualification, ExtendedExitQualificationKind, IoQualification,
};
pub use exit_reason::ExitReason;
#[cfg(target_os = "none")]
pub use fixup::fixup;
pub use gpa_attributes::{GpaAttributes, GpaAttributesChange};
pub use guest_state::L2EnterGuestState;
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
pub use instruction::Instruction;
pub use interruption_info::{InterruptionInfo, InterruptionType};
pub use l2_exit::{EntryFlags, Invalidation, L2Exit};
pub use leaf::{Leaf, LeafSelector};
pub use page::{LeveledGpa, PageLevel};
pub use posted_interrupt::PostedInterruptDescriptor;
pub use registers::{GprMask, Registers, VmcallExposure};
pub use status::{Class, OperandId, Status};
pub use transport::Tdcall;
pub use ve_info::VeInfo;
pub use vm_index::VmIndex;
