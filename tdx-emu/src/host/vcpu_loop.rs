// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a virtual CPU: enter the TD, see why it left, do what it needs, enter again.
//!
//! Spec: TDX-ABI "TDH.VP.ENTER Leaf".

use tdcall::{ExitReason, Registers, Status};

use super::{
    end, ept_violation,
    td::Td,
    td_exit::{self, Verdict},
    tdvmcall,
    vcpu::Vcpu,
};
use crate::module;

/// Runs a virtual CPU on its own physical CPU until the run ends.
pub(crate) fn run(td: &'static Td, vcpu: &'static Vcpu) -> ! {
    let mut registers = Registers::default();
    let mut flags = 0;
    loop {
        end::check();
        td.attend(vcpu);
        td.hostile.interrupt(td, vcpu);
        vcpu.enter();
        let entered = module::tdh_vp_enter(vcpu.tdvpr, flags, &mut registers);
        vcpu.leave();
        flags = match entered {
            Ok(()) => handle(td, vcpu, &mut registers),
            // Whoever holds the lock lets go of it; the answer to a TDVMCALL is still there.
            Err(status) if status.is(Status::OPERAND_BUSY) => flags,
            Err(status) => end::run(
                end::Verdict::Died,
                format_args!("cpu={} cannot be entered: {status}", vcpu.index),
            ),
        };
    }
}

/// Handles a TD exit; returns the flags for the next entry.
fn handle(td: &'static Td, vcpu: &'static Vcpu, registers: &mut Registers) -> u64 {
    let (reason, vm) = (td_exit::reason(registers), registers.rcx >> 32 & 3);
    let cpu = vcpu.index;
    match td_exit::judge(registers) {
        Verdict::Enter => {
            if reason.basic() == ExitReason::OTHER_SMI {
                td.smis.count();
            }
            0
        }
        Verdict::EptViolation => ept_violation::handle(td, vcpu, registers),
        Verdict::Call => {
            tdvmcall::answer(td, vcpu, registers);
            0
        }
        Verdict::Dead(why) => {
            let (status, rip) = (Status(registers.rax), vcpu.rip());
            end::run(
                end::Verdict::Died,
                format_args!(
                    "the TD died: cpu={cpu} vm={vm} {status} {reason} rip={rip:#x}: {why}"
                ),
            )
        }
        Verdict::Unknown => {
            let (gpa, rip) = (registers.r8, vcpu.rip());
            end::run(
                end::Verdict::Unsupported,
                format_args!(
                    "unsupported TD exit: cpu={cpu} vm={vm} {reason} gpa={gpa:#x} rip={rip:#x}"
                ),
            )
        }
    }
}
