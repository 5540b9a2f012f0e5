// SPDX-License-Identifier: MIT OR Apache-2.0
//! TDCALL: the leaves that a TD may call, one file each, named by the leaf.
//!
//! Spec: TDX-ABI "TDCALL Instruction (Common)".

use tdcall::{
    leaf::Leaf,
    status::{OperandId, Status},
};

use super::{
    l2_exit::TDCALL_LENGTH,
    run,
    stop::Stop,
    td_exit::TdExit,
    unsupported,
    vcpu::{Vcpu, exception},
};
use crate::{
    machine::cpus,
    observe,
    svm::{exit::privilege_level, narrow::low_16, vmrun::RAX},
};

/// `TDG.VP.VMCALL`.
pub(crate) mod vp_vmcall;

/// `TDG.VP.INFO`.
mod vp_info;

/// `TDG.MR.RTMR.EXTEND`.
mod mr_rtmr_extend;

/// `TDG.VP.VEINFO.GET`.
mod vp_veinfo_get;

/// `TDG.MR.REPORT`.
mod mr_report;

/// `TDG.VP.CPUIDVE.SET`.
mod vp_cpuidve_set;

/// `TDG.MEM.PAGE.ACCEPT`.
mod mem_page_accept;

/// `TDG.VM.RD`, `TDG.VM.WR`, `TDG.VP.RD`, `TDG.VP.WR`, `TDG.SYS.RD`.
mod metadata_leaves;

/// `TDG.MEM.PAGE.ATTR.RD`.
mod mem_page_attr_rd;

/// `TDG.MEM.PAGE.ATTR.WR`.
mod mem_page_attr_wr;

/// `TDG.VP.ENTER`.
mod vp_enter;

/// `TDG.VP.INVEPT` and `TDG.VP.INVGLA`.
mod vp_invalidate;

/// How a leaf ended that did not stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// RAX gets this status and RIP advances.
    Status(Status),
    /// An L2 VM runs now; L1 goes on when it exits.
    Entered,
}

/// The checks that come before any leaf.
///
/// # Errors
///
/// #GP(0) outside of 64-bit mode and of supervisor mode; `OPERAND_INVALID(RAX)`.
pub(crate) fn check(vcpu: &Vcpu) -> Result<(), Stop> {
    let vmcb = vcpu.vmcb();
    if !vmcb.in_64_bit_mode() || privilege_level(vmcb) != 0 {
        return Err(Stop::ExceptionWithError(exception::GP));
    }
    let rax = vcpu.gprs.0[RAX];
    let version = rax >> 16 & 0xff;
    let versioned = rax & 0xffff == u64::from(Leaf::VM_RD.into_bits());
    if rax >> 24 != 0 || version > u64::from(versioned) {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RAX).into());
    }
    Ok(())
}

/// A TDCALL of L1.
pub(crate) fn dispatch(vcpu: &mut Vcpu) -> Result<(), TdExit> {
    let result = match check(vcpu).and_then(|()| leaf(vcpu)) {
        Ok(Completion::Entered) => return Ok(()),
        Ok(Completion::Status(status)) => Err(Stop::Status(status)),
        Err(stop) => Err(stop),
    };
    run::conclude(vcpu, TDCALL_LENGTH, result)
}

fn leaf(vcpu: &mut Vcpu) -> Result<Completion, Stop> {
    let number = low_16(vcpu.gprs.0[RAX]);
    let leaf = Leaf::from_bits(number);
    observe::tdcall(cpus::current(), leaf);
    let status = match leaf {
        Leaf::VP_VMCALL => vp_vmcall::handle(vcpu)?,
        Leaf::VP_INFO => vp_info::handle(vcpu)?,
        Leaf::MR_RTMR_EXTEND => mr_rtmr_extend::handle(vcpu)?,
        Leaf::VP_VEINFO_GET => vp_veinfo_get::handle(vcpu)?,
        Leaf::MR_REPORT => mr_report::handle(vcpu)?,
        Leaf::VP_CPUIDVE_SET => vp_cpuidve_set::handle(vcpu)?,
        Leaf::MEM_PAGE_ACCEPT => mem_page_accept::handle(vcpu)?,
        Leaf::VM_RD => metadata_leaves::vm_rd(vcpu)?,
        Leaf::VM_WR => metadata_leaves::vm_wr(vcpu)?,
        Leaf::VP_RD => metadata_leaves::vp_rd(vcpu)?,
        Leaf::VP_WR => metadata_leaves::vp_wr(vcpu)?,
        Leaf::SYS_RD => metadata_leaves::sys_rd(vcpu)?,
        Leaf::MEM_PAGE_ATTR_RD => mem_page_attr_rd::handle(vcpu)?,
        Leaf::MEM_PAGE_ATTR_WR => mem_page_attr_wr::handle(vcpu)?,
        Leaf::VP_ENTER => return vp_enter::handle(vcpu),
        Leaf::VP_INVEPT => vp_invalidate::invept(vcpu)?,
        Leaf::VP_INVGLA => vp_invalidate::invgla(vcpu)?,
        Leaf::SYS_RDALL | Leaf::SERVTD_RD | Leaf::SERVTD_WR | Leaf::MR_VERIFYREPORT => {
            unsupported::stop(vcpu, format_args!("tdcall leaf={number}"))
        }
        _ => return Err(Status::OPERAND_INVALID.with_operand(OperandId::RAX).into()),
    };
    Ok(Completion::Status(status))
}
