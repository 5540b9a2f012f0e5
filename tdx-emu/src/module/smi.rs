// SPDX-License-Identifier: MIT OR Apache-2.0
//! System-management interrupts. None reaches L0 on QEMU, so the host says when one is to be there.
//!
//! An SMI makes the virtual CPU exit to the host. One that tells of a machine check (MSMI) makes the TD's
//! memory inaccessible for good.
//!
//! # Orderings
//! Release and Acquire, though only a number goes over.
//!
//! Spec: TDX-BASE "Machine Check Events"; TDX-TDP "VM Exits from L2 VMs".

use core::sync::atomic::{
    AtomicU8,
    Ordering::{Acquire, Release, SeqCst},
};

use tdcall::{exit_reason::ExitReason, status::Status};

use super::{td_exit::TdExit, vcpu::Vcpu};
use crate::machine::cpus::{self, MAX_CPUS};

/// What kind of SMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Smi {
    /// Firmware's business.
    Plain,
    /// It tells of a machine check.
    MachineCheck,
}

const NONE: u8 = 0;
const PLAIN: u8 = 1;
const MACHINE_CHECK: u8 = 2;

static PENDING: [AtomicU8; MAX_CPUS] = [const { AtomicU8::new(NONE) }; MAX_CPUS];

/// An SMI is there for this CPU as soon as an L2 VM runs on it.
pub(crate) fn raise(smi: Smi) {
    let kind = if smi == Smi::Plain { PLAIN } else { MACHINE_CHECK };
    PENDING[cpus::current()].store(kind, Release);
}

/// Takes the SMI of this CPU if there is one and an L2 VM is about to run.
pub(super) fn take(vcpu: &Vcpu) -> Result<(), TdExit> {
    let pending = &PENDING[cpus::current()];
    if vcpu.current == 0 || pending.load(Acquire) == NONE {
        return Ok(());
    }
    if pending.swap(NONE, Acquire) == PLAIN {
        return Err(TdExit::asynchronous(ExitReason::OTHER_SMI));
    }
    vcpu.td.fatal.store(true, SeqCst);
    let status = Status::NON_RECOVERABLE_TD_NON_ACCESSIBLE;
    Err(TdExit::with_status(status, ExitReason::OTHER_SMI))
}
