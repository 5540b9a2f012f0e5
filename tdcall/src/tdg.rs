// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions of the module: leaf name = file name = function name.
//!
//! A function is `unsafe` exactly when the leaf can break what Rust believes about memory or about
//! the processor. Functions that may meet a lock of somebody else try again, a bounded number of
//! times, while the module says `OPERAND_BUSY`.
//!
//! Spec: TDX-ABI, "Guest-Side (TDCALL) Interface Functions".

mod busy;

/// `TDG.VP.INFO`.
pub mod vp_info;

/// `TDG.VP.VMCALL`.
pub mod vp_vmcall;

/// `TDG.VP.VEINFO.GET`.
pub mod vp_veinfo_get;

/// `TDG.MEM.PAGE.ACCEPT`.
pub mod mem_page_accept;

/// `TDG.MEM.PAGE.ATTR.RD`.
pub mod mem_page_attr_rd;

/// `TDG.MEM.PAGE.ATTR.WR`.
pub mod mem_page_attr_wr;

/// `TDG.SYS.RD`.
pub mod sys_rd;

/// `TDG.VM.RD`.
pub mod vm_rd;

/// `TDG.VM.WR`.
pub mod vm_wr;

/// `TDG.VP.RD`.
pub mod vp_rd;

/// `TDG.VP.WR`.
pub mod vp_wr;

/// `TDG.MR.REPORT`.
pub mod mr_report;

/// `TDG.MR.RTMR.EXTEND`.
pub mod mr_rtmr_extend;

/// `TDG.VP.ENTER`.
pub mod vp_enter;

/// `TDG.VP.INVEPT`.
pub mod vp_invept;

/// `TDG.VP.INVGLA`.
pub mod vp_invgla;

pub use mem_page_accept::{
    AcceptRangeError, Acceptance, AcceptedRange, accept_range, mem_page_accept,
};
pub use mem_page_attr_rd::{PageAttributes, mem_page_attr_rd};
pub use mem_page_attr_wr::mem_page_attr_wr;
pub use mr_report::mr_report;
pub use mr_rtmr_extend::mr_rtmr_extend;
pub use sys_rd::sys_rd;
pub use vm_rd::vm_rd;
pub use vm_wr::vm_wr;
pub use vp_enter::{L2Return, vp_enter};
pub use vp_info::{VpInfo, vp_info};
pub use vp_invept::{L2Vms, vp_invept};
pub use vp_invgla::{GlaList, GlaRange, vp_invgla, vp_invgla_list};
pub use vp_rd::vp_rd;
pub use vp_veinfo_get::vp_veinfo_get;
pub use vp_vmcall::vp_vmcall;
pub use vp_wr::vp_wr;
