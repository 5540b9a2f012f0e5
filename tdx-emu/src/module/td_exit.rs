// SPDX-License-Identifier: MIT OR Apache-2.0
//! TD exit: leaving to the host with no more than the host may know.
//!
//! Spec: TDX-ABI "TDH.VP.ENTER", output operands; TDX-BASE "TD Exit".

use tdcall::{exit_reason::ExitReason, registers::Registers, status::Status};

use super::{
    l2_state,
    vcpu::{LastTdExit, Vcpu},
};
use crate::{machine::cpus, observe, svm::narrow::low_32};

/// Registers of the host across `TDH.VP.ENTER`; RBP and RSP are never touched.
pub(crate) type HostRegisters = Registers;

/// What the host gets to see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TdExit {
    /// Completion status with the exit reason in its low half.
    pub(crate) status: u64,
    /// Exit qualification (RCX), without the VM number.
    pub(crate) qualification: u32,
    /// Extended exit qualification (RDX).
    pub(crate) extended: u64,
    /// Guest-physical address (R8).
    pub(crate) gpa: u64,
    /// Interruption information (R9).
    pub(crate) interruption: u32,
    /// Whether `TDG.VP.VMCALL` caused it.
    pub(crate) is_tdvmcall: bool,
}

/// Types of extended exit qualification.
pub(crate) mod extended {
    /// `TDG.MEM.PAGE.ACCEPT` met a page that the host must provide.
    pub(crate) const ACCEPT: u64 = 1;
    /// A table of an L2 VM's secure EPT is missing.
    pub(crate) const GPA_DETAILS: u64 = 2;
    /// `TDG.MEM.PAGE.ATTR.WR` met a page that the host must provide.
    pub(crate) const ATTR_WR: u64 = 5;
    /// Access to a pending page.
    pub(crate) const PENDING_EPT_VIOLATION: u64 = 6;
}

impl TdExit {
    /// An asynchronous exit for `reason`.
    pub(crate) fn asynchronous(reason: ExitReason) -> Self {
        Self::with_status(Status::SUCCESS, reason)
    }

    /// An asynchronous exit for `reason` with a status that is not success.
    pub(crate) fn with_status(status: Status, reason: ExitReason) -> Self {
        Self {
            status: status.0 | u64::from(reason.0),
            qualification: 0,
            extended: 0,
            gpa: 0,
            interruption: 0,
            is_tdvmcall: false,
        }
    }

    /// An EPT violation at `gpa` with what the host may know of the qualification.
    pub(crate) fn ept_violation(gpa: u64, qualification: u64) -> Self {
        const HIDDEN: u64 = 0x1f80;
        Self {
            qualification: low_32(qualification & !HIDDEN),
            gpa: gpa & !0xfff,
            ..Self::asynchronous(ExitReason::EPT_VIOLATION)
        }
    }

    /// `TDG.VP.VMCALL`.
    pub(crate) fn tdvmcall(mask: u64) -> Self {
        Self {
            qualification: low_32(mask),
            is_tdvmcall: true,
            ..Self::asynchronous(ExitReason::TDCALL)
        }
    }

    /// Gives the host its registers and remembers how the virtual CPU left.
    pub(crate) fn report(self, vcpu: &mut Vcpu, host: &mut HostRegisters) {
        let cpu = cpus::current();
        observe::td_exit(cpu, self.status);
        let vm = vcpu.current as u64;
        *host = HostRegisters {
            rax: self.status,
            rcx: u64::from(self.qualification) | vm << 32,
            rdx: self.extended,
            r8: self.gpa,
            r9: u64::from(self.interruption),
            ..HostRegisters::default()
        };
        if self.is_tdvmcall {
            vcpu.last_td_exit = LastTdExit::Tdvmcall;
            vcpu.vmcall_mask = u64::from(self.qualification);
            host.rdx = 0;
            host.r8 = 0;
            host.r9 = 0;
            for (index, register) in exposed(host) {
                if vcpu.vmcall_mask & 1 << index != 0 {
                    *register = vcpu.gprs.0[index];
                }
            }
        } else {
            vcpu.last_td_exit = LastTdExit::AsyncFault;
            if vcpu.current != 0 {
                l2_state::store(vcpu);
            }
        }
    }
}

/// Gives the guest the host's answer to its `TDG.VP.VMCALL`.
pub(crate) fn merge_answer(vcpu: &mut Vcpu, host: &mut HostRegisters) {
    for (index, register) in exposed(host) {
        if vcpu.vmcall_mask & 1 << index != 0 {
            vcpu.gprs.0[index] = *register;
        }
    }
    vcpu.gprs.0[0] = Status::SUCCESS.0;
    vcpu.gprs.0[1] = vcpu.vmcall_mask;
    vcpu.last_td_exit = LastTdExit::AsyncFault;
}

/// The registers that `TDG.VP.VMCALL` can expose, by register number. RBP could be exposed too;
/// the host here has no use for it and never sees it.
fn exposed(host: &mut HostRegisters) -> [(usize, &mut u64); 12] {
    [
        (2, &mut host.rdx),
        (3, &mut host.rbx),
        (6, &mut host.rsi),
        (7, &mut host.rdi),
        (8, &mut host.r8),
        (9, &mut host.r9),
        (10, &mut host.r10),
        (11, &mut host.r11),
        (12, &mut host.r12),
        (13, &mut host.r13),
        (14, &mut host.r14),
        (15, &mut host.r15),
    ]
}
