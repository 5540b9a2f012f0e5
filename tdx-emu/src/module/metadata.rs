// SPDX-License-Identifier: MIT OR Apache-2.0
//! Metadata fields as a TD may read and write them.
//!
//! Spec: TDX-ABI "Metadata Fields"; TDX-BASE "Metadata Access".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::{
    md::{FieldId, l2_vmcs::Field, sys, tdcs, tdvps},
    status::{OperandId, Status},
    vm_index::VmIndex,
};

use super::{
    l2_exits::virtual_tsc, measurement::Digest, msr, td::MAX_L2_VMS, vcpu::Vcpu, vmcs_fields,
};
use crate::svm::{narrow::low_8, physical};

/// 64-bit word `index` of a digest.
pub(crate) fn digest_word(digest: &Digest, index: usize) -> u64 {
    let bytes = digest.chunks_exact(8).nth(index).and_then(|chunk| chunk.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

/// Number of the element of array `first` with `length` elements that `id` selects.
fn element(id: FieldId, first: FieldId, length: u32) -> Option<usize> {
    let index = id.field_code().checked_sub(first.field_code())?;
    (id.class() == first.class() && index < length).then_some(index as usize)
}

/// Reads a field of the TD.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`.
pub(crate) fn read_td(vcpu: &Vcpu, id: FieldId) -> Result<u64, Status> {
    let td = vcpu.td;
    let config = td.config()?;
    let params = &config.params;
    let is = |field: FieldId| id.selects_same(field);
    Ok(match () {
        () if is(tdcs::NUM_VCPUS) => u64::from(td.vcpus.load(SeqCst)),
        () if is(tdcs::NUM_L2_VMS) => config.l2_vms as u64,
        () if is(tdcs::ATTRIBUTES) => params.attributes.0,
        () if is(tdcs::XFAM) => params.xfam,
        () if is(tdcs::MAX_VCPUS) => u64::from(params.max_vcpus),
        () if is(tdcs::GPAW) => 0,
        () if is(tdcs::TSC_FREQUENCY) => u64::from(params.tsc_frequency),
        () if is(tdcs::NOTIFY_ENABLES) => td.notify_enables.load(SeqCst),
        () if is(tdcs::CONFIG_FLAGS) => params.config_flags.0,
        () if is(tdcs::TD_CTLS) => td.td_ctls.load(SeqCst),
        // No service TDs, no migration.
        () if is(tdcs::SERVTD_NUM) => 0,
        () if element(id, tdcs::SERVTD_HASH, 6).is_some() => 0,
        () if element(id, tdcs::PRE_IMPORT_UUID, 4).is_some() => 0,
        () if element(id, tdcs::TD_UUID, 4).is_some() => 0,
        () => read_measurement(vcpu, id)?,
    })
}

fn read_measurement(vcpu: &Vcpu, id: FieldId) -> Result<u64, Status> {
    const WORDS: u32 = 6;
    let params = &vcpu.td.config()?.params;
    let measurement = vcpu.td.measurement.lock();
    if let Some(index) = element(id, tdcs::RTMR, 4 * WORDS) {
        return Ok(digest_word(&measurement.rtmr[index / 6].0, index % 6));
    }
    let digests = [
        (tdcs::MRTD, &measurement.mrtd.0),
        (tdcs::MRCONFIGID, &params.mrconfigid),
        (tdcs::MROWNER, &params.mrowner),
        (tdcs::MROWNERCONFIG, &params.mrownerconfig),
    ];
    digests
        .into_iter()
        .find_map(|(first, digest)| Some(digest_word(digest, element(id, first, WORDS)?)))
        .ok_or(Status::METADATA_FIELD_ID_INCORRECT)
}

/// Writes a field of the TD; returns the value before.
///
/// # Errors
///
/// `METADATA_FIELD_NOT_WRITABLE`, `METADATA_FIELD_VALUE_NOT_VALID`, `METADATA_FIELD_ID_INCORRECT`.
pub(crate) fn write_td(vcpu: &Vcpu, id: FieldId, value: u64, mask: u64) -> Result<u64, Status> {
    if id.selects_same(tdcs::NOTIFY_ENABLES) {
        if mask & 1 == 0 {
            return Err(Status::METADATA_FIELD_NOT_WRITABLE);
        }
        if value & mask & !1 != 0 {
            return Err(Status::METADATA_FIELD_VALUE_NOT_VALID);
        }
        return Ok(vcpu.td.notify_enables.swap(value & 1, SeqCst));
    }
    if id.selects_same(tdcs::TD_CTLS) {
        return vmcs_fields::write_td_ctls(vcpu, value, mask);
    }
    read_td(vcpu, id)?;
    Err(Status::METADATA_FIELD_NOT_WRITABLE)
}

/// A field of a virtual CPU that belongs to an L2 VM, counted from 1.
enum L2Field {
    Vmcs(usize, Field),
    MsrBitmap(usize, u64),
    Controls(usize),
    TscDeadline(usize),
}

fn l2_field(vcpu: &Vcpu, id: FieldId) -> Option<L2Field> {
    const VMCS: u8 = 36;
    const MSR_BITMAP: u8 = 37;
    const STRIDE: u8 = 8;
    (1..=vcpu.l2_vms().min(MAX_L2_VMS)).find_map(|vm| {
        let number = u8::try_from(vm).ok()?;
        let offset = STRIDE * (number - 1);
        let index = VmIndex::new(number)?;
        let code = id.field_code();
        if id.class() == VMCS + offset {
            Some(L2Field::Vmcs(vm, Field(code)))
        } else if id.class() == MSR_BITMAP + offset && code < u32::from(tdvps::MSR_BITMAP_WORDS) {
            Some(L2Field::MsrBitmap(vm, u64::from(code)))
        } else if id.selects_same(tdvps::l2_ctls(index)) {
            Some(L2Field::Controls(vm))
        } else if id.selects_same(tdvps::tsc_deadline(index)) {
            Some(L2Field::TscDeadline(vm))
        } else {
            None
        }
    })
}

/// Reads a field of this virtual CPU.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`, `METADATA_FIELD_NOT_READABLE`.
pub(crate) fn read_vp(vcpu: &Vcpu, id: FieldId) -> Result<u64, Status> {
    const L1_VMCS: u8 = 0;
    match l2_field(vcpu, id) {
        Some(L2Field::Vmcs(vm, field)) => vmcs_fields::read(vcpu, vm, field),
        Some(L2Field::MsrBitmap(vm, word)) => {
            Ok(physical::read(vcpu.l2[vm - 1].msr_bitmap + word * 8))
        }
        Some(L2Field::Controls(vm)) => Ok(vcpu.l2[vm - 1].controls),
        Some(L2Field::TscDeadline(vm)) => Ok(vcpu.l2[vm - 1].tsc_deadline),
        None if id.selects_same(tdvps::VCPU_INDEX) => Ok(u64::from(vcpu.index)),
        None if id.selects_same(tdvps::CPUID_SUPERVISOR_VE) => Ok(u64::from(vcpu.cpuid_ve & 1)),
        None if id.selects_same(tdvps::CPUID_USER_VE) => Ok(u64::from(vcpu.cpuid_ve >> 1)),
        None if id.class() == L1_VMCS => {
            vmcs_fields::check_exists(Field(id.field_code()))?;
            Err(Status::METADATA_FIELD_NOT_READABLE)
        }
        None => Err(Status::METADATA_FIELD_ID_INCORRECT),
    }
}

/// Writes a field of this virtual CPU; returns the value before.
///
/// # Errors
///
/// As [`read_vp`], and `METADATA_FIELD_NOT_WRITABLE`, `METADATA_FIELD_VALUE_NOT_VALID`.
pub(crate) fn write_vp(vcpu: &mut Vcpu, id: FieldId, value: u64, mask: u64) -> Result<u64, Status> {
    const CONTROLS: u64 = 7;
    let merge = |old: u64, writable: u64| {
        let combined = writable & mask;
        if combined == 0 {
            return Err(Status::METADATA_FIELD_NOT_WRITABLE);
        }
        Ok((old & !combined) | (value & combined))
    };
    match l2_field(vcpu, id) {
        Some(L2Field::Vmcs(vm, field)) => vmcs_fields::write(vcpu, vm, field, value, mask),
        Some(L2Field::MsrBitmap(vm, word)) => {
            let bitmap = vcpu.l2[vm - 1].msr_bitmap;
            let old = physical::read(bitmap + word * 8);
            physical::write(bitmap + word * 8, merge(old, u64::MAX)?);
            msr::update_l2_map(vcpu.vms[vm].vmcs.msr_map, bitmap, word);
            Ok(old)
        }
        Some(L2Field::Controls(vm)) => {
            let old = vcpu.l2[vm - 1].controls;
            vcpu.l2[vm - 1].controls = merge(old, CONTROLS)?;
            Ok(old)
        }
        Some(L2Field::TscDeadline(vm)) => {
            let old = vcpu.l2[vm - 1].tsc_deadline;
            let new = merge(old, u64::MAX)?;
            if new == 0 {
                return Err(Status::OPERAND_INVALID.with_operand(OperandId::RAX));
            }
            vcpu.l2[vm - 1].tsc_deadline = new;
            if new != u64::MAX {
                log::trace!("l2 deadline: now={} deadline={new}", virtual_tsc(vcpu));
            }
            Ok(old)
        }
        None if id.selects_same(tdvps::CPUID_SUPERVISOR_VE) => {
            let old = vcpu.cpuid_ve;
            vcpu.cpuid_ve = (old & 2) | low_8(merge(u64::from(old & 1), 1)?);
            Ok(u64::from(old & 1))
        }
        None if id.selects_same(tdvps::CPUID_USER_VE) => {
            let old = vcpu.cpuid_ve;
            vcpu.cpuid_ve = (old & 1) | low_8(merge(u64::from(old >> 1), 1)?) << 1;
            Ok(u64::from(old >> 1))
        }
        None => {
            read_vp(vcpu, id)?;
            Err(Status::METADATA_FIELD_NOT_WRITABLE)
        }
    }
}

/// Reads a field of the module.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`.
pub(crate) fn read_sys(id: FieldId) -> Result<u64, Status> {
    const VENDOR_INTEL: u64 = 0x8086;
    /// `TDG.VP.RD/WR`, CPUID guest control, TD partitioning, TD-entry enhancements, NO_RBP_MOD.
    const FEATURES0: u64 = 1 << 3 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 18;
    const GPA_ATTRIBUTES: u64 = 0x807f;
    let is = |field: FieldId| id.selects_same(field);
    Ok(match () {
        () if is(sys::VENDOR_ID) => VENDOR_INTEL,
        () if is(sys::MAJOR_VERSION) => 1,
        () if is(sys::MINOR_VERSION) => 5,
        () if is(sys::SYS_ATTRIBUTES) => 0,
        () if is(sys::NUM_TDX_FEATURES) => 1,
        () if is(sys::TDX_FEATURES0) => FEATURES0,
        () if is(sys::GUEST_L2_GPA_ATTR_MASK) => GPA_ATTRIBUTES,
        () => return Err(Status::METADATA_FIELD_ID_INCORRECT),
    })
}
