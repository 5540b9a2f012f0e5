// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of each VM exit of L1.
//!
//! Spec: TDX-BASE "TD Guest: Instructions", "#VE Injected by the Intel TDX Module".

use tdcall::{exit_reason::ExitReason, status::Status};

use super::{
    control_registers, cpuid, ept_violation, msr, run,
    stop::Stop,
    td_exit::TdExit,
    tdg,
    vcpu::{Vcpu, exception},
    ve,
};
use crate::svm::exit::VmxExit;

/// Handles an exit of L1.
pub(crate) fn handle(vcpu: &mut Vcpu, exit: VmxExit) -> Result<(), TdExit> {
    let result = match exit.reason {
        ExitReason::TDCALL => return tdg::dispatch(vcpu),
        ExitReason::CPUID => cpuid::l1(vcpu, &exit),
        ExitReason::RDMSR => msr::l1_read(vcpu, &exit),
        ExitReason::WRMSR => msr::l1_write(vcpu, &exit),
        ExitReason::CONTROL_REGISTER_ACCESS => control_registers::l1(vcpu, &exit),
        ExitReason::XSETBV => control_registers::xsetbv(vcpu),
        ExitReason::EPT_VIOLATION => return ept_violation::l1(vcpu, &exit),
        ExitReason::TRIPLE_FAULT => return Err(run::disable(vcpu)),
        ExitReason::TASK_SWITCH | ExitReason::INIT_SIGNAL | ExitReason::OTHER_SMI => {
            Err(Stop::TdExit(TdExit::asynchronous(exit.reason)))
        }
        ExitReason::HLT
        | ExitReason::IO_INSTRUCTION
        | ExitReason::INVD
        | ExitReason::WBINVD
        | ExitReason::VMCALL
        | ExitReason::MWAIT
        | ExitReason::MONITOR
        | ExitReason::PCONFIG => Err(Stop::Ve(ve::of_instruction(&exit))),
        ExitReason::RDPMC => Err(Stop::ExceptionWithError(exception::GP)),
        reason if is_undefined(reason) => Err(Stop::Exception(exception::UD)),
        reason => Err(Stop::TdExit(TdExit::with_status(Status::NON_RECOVERABLE_TD, reason))),
    };
    run::conclude(vcpu, exit.length, result)
}

/// Instructions that do not exist in a TD.
fn is_undefined(reason: ExitReason) -> bool {
    let vmx = ExitReason::VMCLEAR.0..=ExitReason::VMXON.0;
    vmx.contains(&reason.0)
        || [
            ExitReason::GETSEC,
            ExitReason::RSM,
            ExitReason::INVEPT,
            ExitReason::INVVPID,
            ExitReason::VMFUNC,
            ExitReason::ENCLS,
            ExitReason::ENCLV,
            ExitReason::SEAMCALL,
        ]
        .contains(&reason)
}
