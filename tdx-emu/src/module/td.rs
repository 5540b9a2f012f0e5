// SPDX-License-Identifier: MIT OR Apache-2.0
//! A trust domain: TDR and TDCS.
//!
//! The pages that the host donates for these structures only name them; the state itself is kept
//! here, in the emulator's own memory, which stands for encrypted memory.
//!
//! Spec: TDX-BASE "TD Life Cycle", "TD Non-Memory State".

use alloc::{boxed::Box, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};

use spin::{Mutex, Once};
use tdcall::{
    status::{OperandId, Status},
    td_params::TdParams,
};

use super::{measurement::Measurement, sept::Sept, system};
use crate::svm::physical::Hpa;

/// Pages of TDCS before those for L2 VMs; the last of them is the root of L1's secure EPT.
pub(crate) const TDCS_BASE_PAGES: usize = 6;

/// Most L2 VMs of a TD.
pub(crate) const MAX_L2_VMS: usize = 3;

/// Life-cycle states of TDR.
pub(crate) mod lifecycle {
    /// Has a key identifier.
    pub(crate) const HKID_ASSIGNED: u8 = 0;
    /// Has a key.
    pub(crate) const KEYS_CONFIGURED: u8 = 1;
}

/// Operation states of TDCS.
pub(crate) mod op_state {
    /// Created.
    pub(crate) const UNINITIALIZED: u8 = 0;
    /// Being built.
    pub(crate) const INITIALIZED: u8 = 1;
    /// Measured and able to run.
    pub(crate) const RUNNABLE: u8 = 2;
}

/// What `TDH.MNG.INIT` fixed.
#[derive(Debug)]
pub(crate) struct Config {
    /// The parameters as given.
    pub(crate) params: TdParams,
    /// Number of L2 VMs.
    pub(crate) l2_vms: usize,
    /// Tree of L1.
    pub(crate) l1_sept: Sept,
    /// Trees of the L2 VMs that exist.
    pub(crate) l2_sept: [Option<Sept>; MAX_L2_VMS],
    /// The machine's time-stamp counter when the TD's was 0.
    pub(crate) tsc_origin: u64,
}

/// A trust domain.
#[derive(Debug)]
pub(crate) struct Td {
    /// The page that names it.
    pub(crate) tdr: Hpa,
    /// Key identifier.
    pub(crate) hkid: u16,
    /// See [`lifecycle`].
    pub(crate) lifecycle: AtomicU8,
    /// See [`op_state`].
    pub(crate) op_state: AtomicU8,
    /// The TD cannot be entered any more.
    pub(crate) fatal: AtomicBool,
    /// Pages given by `TDH.MNG.ADDCX`.
    pub(crate) tdcx: Mutex<Vec<Hpa>>,
    /// Set by `TDH.MNG.INIT`.
    config: Once<Config>,
    /// Serializes changes of the secure EPTs.
    pub(crate) sept_lock: Mutex<()>,
    /// Counts `TDH.MEM.TRACK`.
    pub(crate) epoch: AtomicU64,
    /// Virtual CPUs initialized so far.
    pub(crate) vcpus: AtomicU32,
    /// Measurements.
    pub(crate) measurement: Mutex<Measurement>,
    /// `NOTIFY_ENABLES`.
    pub(crate) notify_enables: AtomicU64,
    /// `TD_CTLS`.
    pub(crate) td_ctls: AtomicU64,
    /// `VM_CTLS`, by virtual machine.
    pub(crate) vm_ctls: [AtomicU64; 4],
}

static TDS: Mutex<Vec<&'static Td>> = Mutex::new(Vec::new());

impl Td {
    /// Creates a TD named by the page `tdr`.
    pub(crate) fn create(tdr: Hpa, hkid: u16) -> Result<(), Status> {
        let mut tds = TDS.lock();
        if tds.iter().any(|td| td.hkid == hkid) {
            return Err(Status::HKID_NOT_FREE.with_operand(OperandId::RDX));
        }
        if tds.iter().any(|td| td.tdr == tdr) {
            return Err(Status::PAGE_METADATA_INCORRECT.with_operand(OperandId::RCX));
        }
        tds.push(Box::leak(Box::new(Self {
            tdr,
            hkid,
            lifecycle: AtomicU8::new(lifecycle::HKID_ASSIGNED),
            op_state: AtomicU8::new(op_state::UNINITIALIZED),
            fatal: AtomicBool::new(false),
            tdcx: Mutex::new(Vec::new()),
            config: Once::new(),
            sept_lock: Mutex::new(()),
            epoch: AtomicU64::new(1),
            vcpus: AtomicU32::new(0),
            measurement: Mutex::new(Measurement::new()),
            notify_enables: AtomicU64::new(0),
            td_ctls: AtomicU64::new(0),
            vm_ctls: [const { AtomicU64::new(0) }; 4],
        })));
        Ok(())
    }

    /// The TD named by the page `tdr`, for the operand `operand` of a SEAMCALL.
    pub(crate) fn find(tdr: Hpa, operand: OperandId) -> Result<&'static Self, Status> {
        system::check_ready()?;
        let td = TDS.lock().iter().copied().find(|td| td.tdr == tdr);
        let td = td.ok_or(Status::PAGE_METADATA_INCORRECT.with_operand(operand))?;
        if td.fatal.load(SeqCst) {
            return Err(Status::TD_FATAL.with_operand(operand));
        }
        Ok(td)
    }

    /// As [`Self::find`], and the TD has a key and is in one of `states`.
    pub(crate) fn find_in(
        tdr: Hpa,
        operand: OperandId,
        states: &[u8],
    ) -> Result<&'static Self, Status> {
        let td = Self::find(tdr, operand)?;
        if td.lifecycle.load(SeqCst) != lifecycle::KEYS_CONFIGURED {
            return Err(Status::TD_KEYS_NOT_CONFIGURED);
        }
        if !states.contains(&td.op_state.load(SeqCst)) {
            return Err(Status::OP_STATE_INCORRECT);
        }
        Ok(td)
    }

    /// Fixes the configuration.
    pub(crate) fn initialize(&self, config: Config) {
        self.config.call_once(|| config);
        self.op_state.store(op_state::INITIALIZED, SeqCst);
    }

    /// The configuration.
    ///
    /// # Errors
    ///
    /// `OP_STATE_INCORRECT` before `TDH.MNG.INIT`.
    pub(crate) fn config(&self) -> Result<&Config, Status> {
        self.config.get().ok_or(Status::OP_STATE_INCORRECT)
    }
}

/// Reads private memory of the TD `tdr`, as a hardware debugger would; for the emulator's own
/// figures, never for the host.
pub(crate) fn debug_read_gpa(tdr: Hpa, gpa: u64) -> Option<u64> {
    let td = TDS.lock().iter().copied().find(|td| td.tdr == tdr)?;
    let at = td.config().ok()?.l1_sept.accessible(gpa)?;
    (at % 8 == 0).then(|| crate::svm::physical::read(at))
}
