// SPDX-License-Identifier: MIT OR Apache-2.0
//! `TDH.VP.*` but for the entry: creating and configuring a virtual CPU.
//!
//! Spec: TDX-ABI "TDH.VP.CREATE", "TDH.VP.ADDCX", "TDH.VP.INIT", "TDH.VP.RD", "TDH.VP.WR".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::{
    md::{FieldId, l2_vmcs, tdvps},
    status::{OperandId, Status},
    vm_index::VmIndex,
};

use super::{
    msr,
    posted_interrupt::l1_has_deliverable,
    td::{MAX_L2_VMS, Td, op_state},
    vcpu::{TDVPS_BASE_PAGES, TDVPS_PAGES_PER_L2, Vcpu, VcpuState, Vm},
    vmcs::{CR4_VMXE, Vmcs},
};
use crate::svm::{
    permission_maps::{self, MsrPermissionMap},
    physical::{self, Hpa, PAGE},
    virtual_apic::VirtualApic,
    vmcb::Vmcb,
    vmrun::{RBX, RCX, RDX, RSI},
};

/// TSC offset in L1's VMCS.
const L1_TSC_OFFSET: FieldId = FieldId::from_bits(0x0024_0003_0000_2010);

const NUM_L2_VMS_MAX_PAGES: usize = TDVPS_BASE_PAGES - 1 + MAX_L2_VMS * TDVPS_PAGES_PER_L2;

/// `TDH.VP.CREATE`: makes `tdvpr` name a new virtual CPU of the TD.
///
/// # Errors
///
/// `OPERAND_INVALID`; `OP_STATE_INCORRECT`; `PAGE_METADATA_INCORRECT`.
pub(crate) fn tdh_vp_create(tdvpr: Hpa, tdr: Hpa) -> Result<(), Status> {
    if tdvpr == 0 || !tdvpr.is_multiple_of(PAGE) {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX));
    }
    let td = Td::find_in(tdr, OperandId::RDX, &[op_state::INITIALIZED])?;
    Vcpu::create(tdvpr, td)
}

/// `TDH.VP.ADDCX`: adds a page to TDVPS.
///
/// # Errors
///
/// `TDCX_NUM_INCORRECT` when there are enough; `VCPU_STATE_INCORRECT` after `TDH.VP.INIT`.
pub(crate) fn tdh_vp_addcx(page: Hpa, tdvpr: Hpa) -> Result<(), Status> {
    if page == 0 || !page.is_multiple_of(PAGE) {
        return Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX));
    }
    let mut vcpu = Vcpu::lock(tdvpr)?;
    if vcpu.state != VcpuState::Uninitialized {
        return Err(Status::VCPU_STATE_INCORRECT);
    }
    if vcpu.tdcx.len() == NUM_L2_VMS_MAX_PAGES {
        return Err(Status::TDCX_NUM_INCORRECT.with_operand(OperandId::RCX));
    }
    vcpu.tdcx.push(page);
    Ok(())
}

/// `TDH.VP.INIT`: puts the virtual CPU into its initial state; `rcx` is what it finds in RCX and
/// R8, by convention the address of the TD HOB.
///
/// # Errors
///
/// `VCPU_STATE_INCORRECT`; `OP_STATE_INCORRECT`; `TDCX_NUM_INCORRECT`; `MAX_VCPUS_EXCEEDED`.
pub(crate) fn tdh_vp_init(tdvpr: Hpa, rcx: u64) -> Result<(), Status> {
    let mut vcpu = Vcpu::lock(tdvpr)?;
    let td = vcpu.td;
    if vcpu.state != VcpuState::Uninitialized {
        return Err(Status::VCPU_STATE_INCORRECT);
    }
    if td.op_state.load(SeqCst) != op_state::INITIALIZED {
        return Err(Status::OP_STATE_INCORRECT);
    }
    let config = td.config()?;
    let needed = TDVPS_BASE_PAGES - 1 + config.l2_vms * TDVPS_PAGES_PER_L2;
    if vcpu.tdcx.len() < needed {
        return Err(Status::TDCX_NUM_INCORRECT);
    }
    if td.vcpus.load(SeqCst) >= u32::from(config.params.max_vcpus) {
        return Err(Status::MAX_VCPUS_EXCEEDED);
    }
    vcpu.index = td.vcpus.fetch_add(1, SeqCst);

    // The first added page holds L1's VMCB, the second its virtual APIC.
    let (base, extra) = vcpu.tdcx.split_at(TDVPS_BASE_PAGES - 1);
    physical::zero_page(base[1]);
    let mut vms = alloc::vec![Vm {
        vmcs: new_vmcs(base[0], config.l1_sept.root(), config.tsc_origin)?,
        apic: Some(VirtualApic(base[1])),
        shared_eptp: None,
    }];
    let mut bitmaps = [0; MAX_L2_VMS];
    for (number, pages) in extra.chunks(TDVPS_PAGES_PER_L2).take(config.l2_vms).enumerate() {
        let Some(sept) = config.l2_sept[number] else { continue };
        vms.push(Vm {
            vmcs: new_vmcs(pages[0], sept.root(), config.tsc_origin)?,
            apic: None,
            shared_eptp: None,
        });
        physical::fill_page(pages[1], u64::MAX);
        bitmaps[number] = pages[1];
    }
    // L1 reads its own CR0, and CR4 but for VMXE.
    vms[0].vmcs.cr0_mask = 0;
    vms[0].vmcs.cr4_mask = CR4_VMXE;
    msr::open_native_for_l1(vms[0].vmcs.msr_map);
    for (l2, bitmap) in vcpu.l2.iter_mut().zip(bitmaps) {
        l2.msr_bitmap = bitmap;
    }
    vcpu.vms = vms;
    let index = u64::from(vcpu.index);
    let g = &mut vcpu.gprs.0;
    g[RBX] = 48;
    g[RCX] = rcx;
    g[8] = rcx;
    g[RDX] = u64::from(core::arch::x86_64::__cpuid(1).eax);
    g[RSI] = index;
    vcpu.state = VcpuState::Ready;
    Ok(())
}

/// A VMCS in `page` over the nested table at `root`.
fn new_vmcs(page: Hpa, root: Hpa, tsc_origin: u64) -> Result<Vmcs, Status> {
    const NESTED_PAGING: u64 = 1;
    const ASID: u32 = 1;
    let no_memory = Status::OPERAND_BUSY.with_operand(OperandId::TDVPS);
    let msr_map = MsrPermissionMap::new().ok_or(no_memory)?;
    let vmcb = Vmcb::new(page);
    vmcb.set_iopm_base_pa(permission_maps::all_ports().ok_or(no_memory)?);
    vmcb.set_msrpm_base_pa(msr_map.base());
    vmcb.set_np_enable(NESTED_PAGING);
    vmcb.set_n_cr3(root);
    vmcb.set_asid(ASID);
    vmcb.set_tsc_offset(tsc_origin.wrapping_neg());
    Ok(Vmcs::new(vmcb, msr_map))
}

/// `TDH.VP.RD`: reads a field of a virtual CPU that the host may see.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`; `VCPU_ASSOCIATED`.
pub(crate) fn tdh_vp_rd(tdvpr: Hpa, field: u64) -> Result<u64, Status> {
    let vcpu = Vcpu::lock(tdvpr)?;
    let field = FieldId::from_bits(field);
    Ok(match () {
        () if field.selects_same(tdvps::VCPU_INDEX) => u64::from(vcpu.index),
        () if field.selects_same(tdvps::VCPU_STATE_DETAILS) => u64::from(l1_has_deliverable(&vcpu)),
        () if field.selects_same(tdvps::PEND_NMI) => u64::from(vcpu.pending_nmi),
        () if field.selects_same(L1_TSC_OFFSET) => vcpu.td.config()?.tsc_origin.wrapping_neg(),
        () if field.selects_same(tdvps::L1_PIN_BASED_CONTROLS) => {
            0x29 | u64::from(vcpu.posted.enabled) << 7
        }
        () => return Err(Status::METADATA_FIELD_ID_INCORRECT),
    })
}

/// `TDH.VP.WR`: sets a field of a virtual CPU that the host may set, under `mask`; returns the
/// value before.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`; `METADATA_FIELD_VALUE_NOT_VALID`; `METADATA_FIELD_NOT_WRITABLE`;
/// `TD_VMCS_FIELD_NOT_INITIALIZED` for enabling posted interrupts before vector and descriptor.
pub(crate) fn tdh_vp_wr(tdvpr: Hpa, field: u64, value: u64, mask: u64) -> Result<u64, Status> {
    let mut vcpu = Vcpu::lock(tdvpr)?;
    if vcpu.vms.is_empty() {
        return Err(Status::VCPU_STATE_INCORRECT);
    }
    let field = FieldId::from_bits(field);
    match () {
        () if field.selects_same(tdvps::L1_POSTED_INTERRUPT_NOTIFICATION_VECTOR) => {
            let vector = u8::try_from(value & mask & 0xffff);
            let vector = vector.map_err(|_| Status::METADATA_FIELD_VALUE_NOT_VALID)?;
            Ok(vcpu.posted.vector.replace(vector).map_or(0xffff, u64::from))
        }
        () if field.selects_same(tdvps::L1_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS) => {
            if value & 0x3f != 0 || value == 0 {
                return Err(Status::METADATA_FIELD_VALUE_NOT_VALID);
            }
            Ok(vcpu.posted.descriptor.replace(value).unwrap_or(u64::MAX))
        }
        () if field.selects_same(tdvps::L1_PIN_BASED_CONTROLS) => {
            enable_posting(&mut vcpu, value, mask)
        }
        () if field.selects_same(tdvps::PEND_NMI) => {
            let old = vcpu.pending_nmi;
            vcpu.pending_nmi = value & mask & 0xff != 0;
            Ok(u64::from(old))
        }
        () => set_shared_eptp(&mut vcpu, field, value, mask),
    }
}

fn enable_posting(vcpu: &mut Vcpu, value: u64, mask: u64) -> Result<u64, Status> {
    const PROCESS_POSTED_INTERRUPTS: u64 = 1 << 7;
    if mask & PROCESS_POSTED_INTERRUPTS == 0 {
        return Err(Status::METADATA_FIELD_NOT_WRITABLE);
    }
    let enable = value & PROCESS_POSTED_INTERRUPTS != 0;
    if enable && (vcpu.posted.vector.is_none() || vcpu.posted.descriptor.is_none()) {
        return Err(Status::TD_VMCS_FIELD_NOT_INITIALIZED.with_details(0x4000));
    }
    let old = core::mem::replace(&mut vcpu.posted.enabled, enable);
    Ok(0x29 | u64::from(old) << 7)
}

fn set_shared_eptp(vcpu: &mut Vcpu, field: FieldId, value: u64, mask: u64) -> Result<u64, Status> {
    const WRITABLE: u64 = 0x000f_ffff_ffff_f000;
    let vm = (0..vcpu.vms.len()).find(|vm| match u8::try_from(*vm).ok().and_then(VmIndex::new) {
        Some(l2) => field.selects_same(l2_vmcs::field_id(l2, l2_vmcs::Field::SHARED_EPTP)),
        None => field.selects_same(tdvps::L1_SHARED_EPTP),
    });
    let vm = vm.ok_or(Status::METADATA_FIELD_ID_INCORRECT)?;
    if mask & WRITABLE == 0 {
        return Err(Status::METADATA_FIELD_NOT_WRITABLE);
    }
    if value & !WRITABLE != 0 {
        return Err(Status::METADATA_FIELD_VALUE_NOT_VALID);
    }
    Ok(vcpu.vms[vm].shared_eptp.replace(value).unwrap_or(0))
}
