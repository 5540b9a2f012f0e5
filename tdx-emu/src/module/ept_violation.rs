// SPDX-License-Identifier: MIT OR Apache-2.0
//! EPT violations of L1 and of L2 VMs.
//!
//! Spec: TDX-BASE "EPT Violations"; TDX-TDP "L2 EPT Violations".

use core::sync::atomic::Ordering::SeqCst;

use super::{
    l2_exits::Route,
    run,
    sept::State,
    stop::Stop,
    td_exit::{TdExit, extended},
    tdh_mem::SHARED_BIT,
    vcpu::Vcpu,
    ve,
};
use crate::svm::{exit::VmxExit, npt::Walk};

/// Bit of a shared EPT entry that makes a violation exit to the host instead of raising #VE.
const SUPPRESS_VE: u64 = 1 << 63;

/// `TD_CTLS.PENDING_VE_DISABLE`.
const PENDING_VE_DISABLE: u64 = 1 << 0;

/// An EPT violation of L1.
pub(crate) fn l1(vcpu: &mut Vcpu, exit: &VmxExit) -> Result<(), TdExit> {
    let to_host = TdExit::ept_violation(exit.gpa, exit.qualification);
    let stop = if exit.gpa & SHARED_BIT != 0 {
        let entry = Walk::new(vcpu.vmcb().n_cr3(), exit.gpa).entry;
        if entry & SUPPRESS_VE == 0 {
            Stop::Ve(ve::of_ept_violation(exit))
        } else {
            Stop::TdExit(to_host)
        }
    } else {
        private(vcpu, exit, to_host)
    };
    run::conclude(vcpu, 0, Err(stop))
}

fn private(vcpu: &Vcpu, exit: &VmxExit, to_host: TdExit) -> Stop {
    let state = vcpu.td.config().map(|config| config.l1_sept.find(exit.gpa, 0).entry.state());
    if state != Ok(State::Pending) {
        return Stop::TdExit(to_host);
    }
    if vcpu.td.td_ctls.load(SeqCst) & PENDING_VE_DISABLE != 0 {
        return Stop::TdExit(TdExit { extended: extended::PENDING_EPT_VIOLATION, ..to_host });
    }
    Stop::Ve(ve::of_ept_violation(exit))
}

/// An EPT violation of an L2 VM: L1 settles what it can (its own page, no or too weak an alias),
/// the host the rest.
pub(crate) fn l2(vcpu: &Vcpu, exit: &VmxExit) -> Route {
    let to_host = TdExit::ept_violation(exit.gpa, exit.qualification);
    if exit.gpa & SHARED_BIT != 0 {
        return Route::Host(to_host);
    }
    let Ok(config) = vcpu.td.config() else { return Route::Host(to_host) };
    match config.l1_sept.find(exit.gpa, 0).entry.state() {
        State::Mapped => Route::L1,
        State::Pending => Route::L1Extended(extended::PENDING_EPT_VIOLATION),
        _ => Route::Host(to_host),
    }
}
