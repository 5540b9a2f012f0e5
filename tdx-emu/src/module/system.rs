// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bring-up of the module: `TDH.SYS.INIT`, `TDH.SYS.LP.INIT` on every CPU, `TDH.SYS.CONFIG`,
//! `TDH.SYS.KEY.CONFIG`, in this order, each refused with its own status when it comes too early.
//!
//! Spec: TDX-BASE "Intel TDX Module Lifecycle"; TDX-ABI "TDH.SYS.*".

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};

use tdcall::status::{OperandId, Status};

use crate::{
    machine::{
        cpus::{self, MAX_CPUS},
        memory,
    },
    svm::vmrun,
};

const PENDING: u8 = 0;
const INIT_DONE: u8 = 1;
const CONFIG_DONE: u8 = 2;
const READY: u8 = 3;

static STATE: AtomicU8 = AtomicU8::new(PENDING);
static CPU_INITIALIZED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

fn step(from: u8, to: u8, otherwise: Status) -> Result<(), Status> {
    STATE.compare_exchange(from, to, SeqCst, SeqCst).map(|_| ()).map_err(|_| otherwise)
}

/// `TDH.SYS.INIT`: initializes the module globally, once.
///
/// # Errors
///
/// `OPERAND_INVALID(RCX)` for attributes; `SYS_INIT_NOT_PENDING` when done already.
pub(crate) fn tdh_sys_init(attributes: u64) -> Result<(), Status> {
    if attributes != 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX));
    }
    step(PENDING, INIT_DONE, Status::SYS_INIT_NOT_PENDING)
}

/// `TDH.SYS.LP.INIT`: initializes the module on the CPU that calls, once each.
///
/// # Errors
///
/// `SYS_LP_INIT_NOT_PENDING` before `TDH.SYS.INIT` or after `TDH.SYS.CONFIG`; `SYS_LP_INIT_DONE`
/// the second time; `SYS_BUSY` if the emulator has no memory left.
pub(crate) fn tdh_sys_lp_init() -> Result<(), Status> {
    if STATE.load(SeqCst) != INIT_DONE {
        return Err(Status::SYS_LP_INIT_NOT_PENDING);
    }
    if CPU_INITIALIZED[cpus::current()].swap(true, SeqCst) {
        return Err(Status::SYS_LP_INIT_DONE);
    }
    let host_save_area = memory::alloc_page().ok_or(Status::SYS_BUSY)?;
    vmrun::enable(host_save_area);
    Ok(())
}

/// `TDH.SYS.CONFIG`: fixes the configuration once every CPU is initialized.
///
/// # Errors
///
/// `SYS_CONFIG_NOT_PENDING` out of order; `SYS_LP_INIT_NOT_DONE` if a CPU was left out;
/// `OPERAND_INVALID(R8)` for the global key identifier 0, which is not a private one.
pub(crate) fn tdh_sys_config(hkid: u16) -> Result<(), Status> {
    if STATE.load(SeqCst) != INIT_DONE {
        return Err(Status::SYS_CONFIG_NOT_PENDING);
    }
    if cpus::all().any(|cpu| !CPU_INITIALIZED[cpu].load(SeqCst)) {
        return Err(Status::SYS_LP_INIT_NOT_DONE);
    }
    if hkid == 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::R8));
    }
    step(INIT_DONE, CONFIG_DONE, Status::SYS_CONFIG_NOT_PENDING)
}

/// `TDH.SYS.KEY.CONFIG`: configures the module's key on the one package there is.
///
/// # Errors
///
/// `SYS_KEY_CONFIG_NOT_PENDING` out of order.
pub(crate) fn tdh_sys_key_config() -> Result<(), Status> {
    step(CONFIG_DONE, READY, Status::SYS_KEY_CONFIG_NOT_PENDING)
}

/// What every other SEAMCALL demands first.
///
/// # Errors
///
/// `SYS_NOT_READY`; `SYS_LP_INIT_NOT_DONE` for this CPU.
pub(crate) fn check_ready() -> Result<(), Status> {
    if STATE.load(SeqCst) != READY {
        return Err(Status::SYS_NOT_READY);
    }
    if !CPU_INITIALIZED[cpus::current()].load(SeqCst) {
        return Err(Status::SYS_LP_INIT_NOT_DONE);
    }
    Ok(())
}
