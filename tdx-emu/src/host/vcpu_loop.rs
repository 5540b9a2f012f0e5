// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a virtual CPU: enter the TD, see why it left, do what it needs, enter again.
//!
//! Spec: TDX-ABI "TDH.VP.ENTER Leaf".

use tdcall::{ExitReason, Registers, Status};

use super::{
    end::{self, Verdict},
    ept_violation,
    td::Td,
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
        td.quoting.poll(td);
        vcpu.enter();
        let entered = module::tdh_vp_enter(vcpu.tdvpr, flags, &mut registers);
        vcpu.leave();
        flags = match entered {
            Ok(()) => handle(td, vcpu, &mut registers),
            // Whoever holds the lock lets go of it; the answer to a TDVMCALL is still there.
            Err(status) if status.is(Status::OPERAND_BUSY) => flags,
            Err(status) => end::run(
                Verdict::Died,
                format_args!("cpu={} cannot be entered: {status}", vcpu.index),
            ),
        };
    }
}

/// Handles a TD exit; returns the flags for the next entry.
fn handle(td: &'static Td, vcpu: &'static Vcpu, registers: &mut Registers) -> u64 {
    let status = Status(registers.rax);
    let [reason, _] = [registers.rax & 0xffff_ffff, registers.rax >> 32];
    let reason = ExitReason(u32::try_from(reason).unwrap_or(u32::MAX));
    if !status.is(Status::SUCCESS) {
        let (cpu, vm, rip) = (vcpu.index, registers.rcx >> 32 & 3, vcpu.rip());
        end::run(
            Verdict::Died,
            format_args!("the TD died: cpu={cpu} vm={vm} {status} {reason} rip={rip:#x}"),
        );
    }
    match reason.basic() {
        // The interrupt was taken before the module returned.
        ExitReason::EXTERNAL_INTERRUPT | ExitReason::EXCEPTION_OR_NMI => 0,
        ExitReason::EPT_VIOLATION => ept_violation::handle(td, vcpu, registers),
        ExitReason::TDCALL => {
            tdvmcall::answer(td, vcpu, registers);
            0
        }
        _ => {
            let (cpu, vm) = (vcpu.index, registers.rcx >> 32 & 3);
            end::run(
                Verdict::Unsupported,
                format_args!(
                    "unsupported TD exit: cpu={cpu} vm={vm} {reason} gpa={:#x} rip={:#x}",
                    registers.r8,
                    vcpu.rip()
                ),
            )
        }
    }
}
