// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where each VM exit of an L2 VM goes: to L1, to the host, or nowhere because the module settles
//! it.
//!
//! Spec: TDX-TDP "L2 VM Exit Routing".

use tdcall::{exit_reason::ExitReason, status::Status};

use super::{
    control_registers, ept_violation, l2_exit, msr, run, stop::Stop, td_exit::TdExit, tdg,
    tdh_vp_enter::reinject, vcpu::Vcpu,
};
use crate::{
    machine::{clock, deadlines},
    svm::{exit::VmxExit, vmrun::RAX},
};

/// What the module decides about an exit of L2.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    /// L1 handles it.
    L1,
    /// L1 handles it, with this extended exit qualification.
    L1Extended(u64),
    /// The host handles it.
    Host(TdExit),
    /// The module did; L2 goes on behind the instruction.
    Advance,
    /// The module did, or injected something; L2 goes on where it is.
    Resume,
}

/// Handles an exit of the current L2 VM.
pub(crate) fn handle(vcpu: &mut Vcpu, exit: VmxExit) -> Result<(), TdExit> {
    let route = match exit.reason {
        ExitReason::CONTROL_REGISTER_ACCESS => control_registers::l2(vcpu, &exit),
        ExitReason::RDMSR => msr::l2_read(vcpu),
        ExitReason::WRMSR => msr::l2_write(vcpu),
        ExitReason::EPT_VIOLATION => ept_violation::l2(vcpu, &exit),
        ExitReason::TDCALL if calls_host(vcpu) => {
            return run_tdvmcall(vcpu, &exit);
        }
        ExitReason::INIT_SIGNAL | ExitReason::OTHER_SMI => {
            Route::Host(TdExit::asynchronous(exit.reason))
        }
        ExitReason::MONITOR_TRAP_FLAG => {
            Route::Host(TdExit::with_status(Status::NON_RECOVERABLE_TD, exit.reason))
        }
        _ => Route::L1,
    };
    match route {
        Route::L1 => l2_exit::to_l1(vcpu, Status::SUCCESS, 0),
        Route::L1Extended(extended) => l2_exit::to_l1(vcpu, Status::SUCCESS, extended),
        Route::Host(exit) => return Err(exit),
        Route::Advance => {
            vcpu.vmcb().advance(exit.length);
            reinject(vcpu);
        }
        Route::Resume => reinject(vcpu),
    }
    Ok(())
}

/// Whether the TDCALL of L2 is a `TDG.VP.VMCALL` that L1 lets through to the host.
fn calls_host(vcpu: &Vcpu) -> bool {
    const ENABLE_TDVMCALL: u64 = 1 << 1;
    vcpu.l2[vcpu.current - 1].controls & ENABLE_TDVMCALL != 0 && vcpu.gprs.0[RAX] & 0xffff == 0
}

fn run_tdvmcall(vcpu: &mut Vcpu, exit: &VmxExit) -> Result<(), TdExit> {
    let result = tdg::check(vcpu).and_then(|()| tdg::vp_vmcall::handle(vcpu));
    let result = result.map_or_else(Err, |status| Err(Stop::Status(status)));
    run::conclude(vcpu, exit.length, result)
}

/// Whether L2's deadline, if L1 set one, has passed. If it has not, the CPU's timer is set to it.
pub(crate) fn preemption_timer_expired(vcpu: &Vcpu) -> bool {
    let deadline = vcpu.l2[vcpu.current - 1].tsc_deadline;
    if deadline == u64::MAX {
        deadlines::set_guest(None);
        return false;
    }
    let left = deadline.saturating_sub(virtual_tsc(vcpu));
    let at = clock::now_ns().saturating_add(left.saturating_mul(1000) / clock::mhz());
    deadlines::set_guest((left != 0).then_some(at));
    left == 0
}

/// The TD's time-stamp counter.
pub(crate) fn virtual_tsc(vcpu: &Vcpu) -> u64 {
    let origin = vcpu.td.config().map_or(0, |config| config.tsc_origin);
    clock::tsc().wrapping_sub(origin)
}
