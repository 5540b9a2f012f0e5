// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TDX module, version 1.5.01, as far as it is emulated.
//!
//! Names, order of checks and status codes are the module's; state is kept in Rust structures
//! instead of encrypted pages. The host calls `tdh_*` (a SEAMCALL is a function call here), the
//! TD calls `tdg/*` (a TDCALL arrives as #UD). What the emulation does not do is said loudly, with
//! leaf or exit reason and the guest's RIP.
//!
//! Spec: TDX-BASE, TDX-ABI, TDX-TDP.

/// `TDH.SYS.*`: bring-up.
pub(crate) mod system;

/// A trust domain.
pub(crate) mod td;

/// `TDH.MNG.*`: making a TD.
pub(crate) mod tdh_mng;

/// A virtual CPU.
pub(crate) mod vcpu;

/// A VMCS on top of a VMCB.
pub(crate) mod vmcs;

/// Fields of an L2 VMCS.
pub(crate) mod vmcs_fields;

/// `TDH.VP.*`: making a virtual CPU.
pub(crate) mod tdh_vp;

/// Secure EPT.
pub(crate) mod sept;

/// `TDH.MEM.*`, `TDH.MR.*`: giving memory to a TD and measuring it.
pub(crate) mod tdh_mem;

/// MRTD and RTMRs.
pub(crate) mod measurement;

/// `TDH.VP.ENTER`: running a virtual CPU.
pub(crate) mod tdh_vp_enter;

/// The run loop.
pub(crate) mod run;

/// System-management interrupts.
pub(crate) mod smi;

/// VM entry.
pub(crate) mod entry;

/// PIR → VIRR → RVI.
pub(crate) mod posted_interrupt;

/// Exits of L1.
pub(crate) mod l1_exits;

/// Exits of L2 VMs.
pub(crate) mod l2_exits;

/// L2→L1 exits.
pub(crate) mod l2_exit;

/// `L2_ENTER_GUEST_STATE`.
pub(crate) mod l2_state;

/// TD exits.
pub(crate) mod td_exit;

/// Virtualization exceptions.
pub(crate) mod ve;

/// CPUID.
pub(crate) mod cpuid;

/// MSRs.
pub(crate) mod msr;

/// CR0, CR4, CR8, XCR0.
pub(crate) mod control_registers;

/// EPT violations.
pub(crate) mod ept_violation;

/// TDCALL.
pub(crate) mod tdg;

/// Memory operands of TDCALL.
pub(crate) mod operand;

/// Metadata fields.
pub(crate) mod metadata;

/// How the handling of an exit ends.
pub(crate) mod stop;

/// Where the emulation ends.
pub(crate) mod unsupported;

/// The host's side, checked.
pub(crate) mod selftest;

pub(crate) use posted_interrupt::{note_external_interrupt, note_notification};
pub(crate) use system::{tdh_sys_config, tdh_sys_init, tdh_sys_key_config, tdh_sys_lp_init};
pub(crate) use td::debug_read_gpa;
pub(crate) use tdh_mem::{
    tdh_mem_page_add, tdh_mem_page_aug, tdh_mem_page_demote, tdh_mem_page_remove,
    tdh_mem_range_block, tdh_mem_sept_add, tdh_mem_track, tdh_mr_extend, tdh_mr_finalize,
};
pub(crate) use tdh_mng::{
    tdh_mng_addcx, tdh_mng_create, tdh_mng_init, tdh_mng_key_config, tdh_mng_rd, tdh_mng_wr,
};
pub(crate) use tdh_vp::{tdh_vp_addcx, tdh_vp_create, tdh_vp_init, tdh_vp_rd, tdh_vp_wr};
pub(crate) use tdh_vp_enter::{RESUME_L1, tdh_vp_enter};
pub(crate) use vcpu::{debug_has_table, debug_rip};
