// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDH.MNG.*`: creating and configuring a TD, from the host's side.
//!
//! Spec: TDX-ABI "TDH.MNG.CREATE", "TDH.MNG.KEY.CONFIG", "TDH.MNG.ADDCX", "TDH.MNG.INIT".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::{
    md::{FieldId, tdcs},
    status::{OperandId, Status},
    td_params::TdParams,
};

use super::{
    sept::Sept,
    td::{Config, MAX_L2_VMS, TDCS_BASE_PAGES, Td, lifecycle, op_state},
};
use crate::{
    machine::clock,
    svm::physical::{Hpa, PAGE},
};

/// Attributes that this module supports: DEBUG and SEPT_VE_DISABLE.
const ATTRIBUTES: u64 = 1 << 0 | 1 << 28;

/// Extended features that every TD has (x87, SSE) and may have (AVX, PKRU): what TCG offers.
const XFAM_FIXED1: u64 = 3;
const XFAM_ALLOWED: u64 = 0x207;

fn check_page(page: Hpa, operand: OperandId) -> Result<(), Status> {
    let good = page != 0 && page.is_multiple_of(PAGE);
    if good { Ok(()) } else { Err(Status::OPERAND_INVALID.with_operand(operand)) }
}

/// `TDH.MNG.CREATE`: makes `tdr` name a new TD with key identifier `hkid`.
///
/// # Errors
///
/// `OPERAND_INVALID`; `HKID_NOT_FREE`; `SYS_*`.
pub(crate) fn tdh_mng_create(tdr: Hpa, hkid: u16) -> Result<(), Status> {
    super::system::check_ready()?;
    check_page(tdr, OperandId::RCX)?;
    if hkid == 0 {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RDX));
    }
    Td::create(tdr, hkid)
}

/// `TDH.MNG.KEY.CONFIG`: gives the TD its key on the one package there is.
///
/// # Errors
///
/// `LIFECYCLE_STATE_INCORRECT` the second time.
pub(crate) fn tdh_mng_key_config(tdr: Hpa) -> Result<(), Status> {
    let td = Td::find(tdr, OperandId::RCX)?;
    td.lifecycle
        .compare_exchange(lifecycle::HKID_ASSIGNED, lifecycle::KEYS_CONFIGURED, SeqCst, SeqCst)
        .map(|_| ())
        .map_err(|_| Status::LIFECYCLE_STATE_INCORRECT)
}

/// `TDH.MNG.ADDCX`: adds a page to TDCS.
///
/// # Errors
///
/// `TDCX_NUM_INCORRECT` when there are enough; `OP_STATE_INCORRECT`.
pub(crate) fn tdh_mng_addcx(page: Hpa, tdr: Hpa) -> Result<(), Status> {
    check_page(page, OperandId::RCX)?;
    let td = Td::find_in(tdr, OperandId::RDX, &[op_state::UNINITIALIZED])?;
    let mut tdcx = td.tdcx.lock();
    if tdcx.len() == TDCS_BASE_PAGES + MAX_L2_VMS {
        return Err(Status::TDCX_NUM_INCORRECT.with_operand(OperandId::RCX));
    }
    tdcx.push(page);
    Ok(())
}

/// `TDH.MNG.INIT`: configures the TD. The order of the checks is the module's.
///
/// # Errors
///
/// `OPERAND_INVALID` naming the parameter; `TDCS_NOT_ALLOCATED`; `OP_STATE_INCORRECT`.
pub(crate) fn tdh_mng_init(tdr: Hpa, params: &TdParams) -> Result<(), Status> {
    let td = Td::find_in(tdr, OperandId::RCX, &[op_state::UNINITIALIZED])?;
    let refuse = |operand| Err(Status::OPERAND_INVALID.with_operand(operand));
    if params.attributes.0 & !ATTRIBUTES != 0 {
        return refuse(OperandId::ATTRIBUTES);
    }
    if params.xfam & XFAM_FIXED1 != XFAM_FIXED1 || params.xfam & !XFAM_ALLOWED != 0 {
        return refuse(OperandId::XFAM);
    }
    if params.max_vcpus == 0 {
        return refuse(OperandId::MAX_VCPUS);
    }
    let l2_vms = usize::from(params.num_l2_vms);
    if l2_vms > MAX_L2_VMS {
        return refuse(OperandId::NUM_L2_VMS);
    }
    let tdcx = td.tdcx.lock();
    if tdcx.len() < TDCS_BASE_PAGES + l2_vms {
        return Err(Status::TDCS_NOT_ALLOCATED);
    }
    let reserved_used = params.reserved_20 != [0; 4]
        || params.reserved_42 != [0; 38]
        || params.reserved_232 != [0; 24];
    if reserved_used {
        return refuse(OperandId::RDX);
    }
    check_platform(params)?;
    let mut l2_sept = [None; MAX_L2_VMS];
    for (slot, root) in l2_sept.iter_mut().zip(&tdcx[TDCS_BASE_PAGES..]).take(l2_vms) {
        *slot = Some(Sept::new(*root));
    }
    let l1_sept = Sept::new(tdcx[TDCS_BASE_PAGES - 1]);
    let pending_ve_disable = params.attributes.0 >> 28 & 1;
    td.td_ctls.store(pending_ve_disable, SeqCst);
    td.initialize(Config {
        params: params.clone(),
        l2_vms,
        l1_sept,
        l2_sept,
        tsc_origin: clock::tsc(),
    });
    Ok(())
}

/// GPAW 48 with four-level tables is what SVM under TCG can carry; the rest is refused in the
/// module's own words.
fn check_platform(params: &TdParams) -> Result<(), Status> {
    const GPAW_52: u64 = 1 << 0;
    const KNOWN_FLAGS: u64 = 7;
    const WRITE_BACK_FOUR_LEVELS: u64 = 6 | 3 << 3;
    let refuse = |operand| Err(Status::OPERAND_INVALID.with_operand(operand));
    let flags = params.config_flags.0;
    if flags & GPAW_52 != 0 || flags & !KNOWN_FLAGS != 0 {
        return refuse(OperandId::EXEC_CONTROLS);
    }
    if params.eptp_controls != WRITE_BACK_FOUR_LEVELS {
        return refuse(OperandId::EPTP_CONTROLS);
    }
    if !(4..=400).contains(&params.tsc_frequency) {
        return refuse(OperandId::TSC_FREQUENCY);
    }
    Ok(())
}

/// `TDH.MNG.RD`: reads a field of the TD that the host may see.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`.
pub(crate) fn tdh_mng_rd(tdr: Hpa, field: u64) -> Result<u64, Status> {
    let td = Td::find(tdr, OperandId::RCX)?;
    let field = FieldId::from_bits(field);
    let selected = |id: FieldId| field.selects_same(id);
    Ok(match () {
        () if selected(tdcs::OP_STATE) => u64::from(td.op_state.load(SeqCst)),
        () if selected(tdcs::LIFECYCLE_STATE) => u64::from(td.lifecycle.load(SeqCst)),
        () if selected(tdcs::NUM_VCPUS) => u64::from(td.vcpus.load(SeqCst)),
        () if field_of_mrtd(field).is_some() => {
            let index = field_of_mrtd(field).unwrap_or(0);
            super::metadata::digest_word(&td.measurement.lock().mrtd.0, index)
        }
        () => return Err(Status::METADATA_FIELD_ID_INCORRECT),
    })
}

fn field_of_mrtd(field: FieldId) -> Option<usize> {
    (0..6u32).position(|index| field.selects_same(tdcs::MRTD.element(index)))
}

/// `TDH.MNG.WR`: writes a field of the TD that the host may set.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`; `METADATA_FIELD_NOT_WRITABLE`.
pub(crate) fn tdh_mng_wr(tdr: Hpa, field: u64, value: u64, mask: u64) -> Result<u64, Status> {
    const VM_CTLS: u64 = 0x9110_0003_0000_0012;
    let td = Td::find(tdr, OperandId::RCX)?;
    let field = FieldId::from_bits(field);
    let vm = (1..4).find(|vm| field.selects_same(FieldId::from_bits(VM_CTLS + *vm as u64)));
    let vm = vm.ok_or(Status::METADATA_FIELD_ID_INCORRECT)?;
    if mask & 1 == 0 {
        return Err(Status::METADATA_FIELD_NOT_WRITABLE);
    }
    Ok(td.vm_ctls[vm].swap(value & 1, SeqCst))
}
