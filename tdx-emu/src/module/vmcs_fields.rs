// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of an L2 VMCS as L1 may read and write them.
//!
//! Every field has a size and a mask of bits that L1 may write. The module merges under that mask;
//! a bit outside of it may be named in the request only with its current value.
//!
//! Spec: TDX-ABI "L2 VMCS Fields"; SDM "Field Encoding in VMCS".

use core::sync::atomic::Ordering::SeqCst;

use tdcall::{
    exit_reason::ExitReason,
    interruption_info::InterruptionInfo,
    md::l2_vmcs::Field,
    status::{OperandId, Status},
};

use super::{
    tdh_mem::SHARED_BIT,
    vcpu::Vcpu,
    vmcs::{CR4_MCE, CR4_VMXE, Vmcs, primary},
};
use crate::svm::{
    narrow::{low_8, low_16, low_32},
    virtual_apic::InterruptStatus,
    vmcb::{Segment, efer},
};

/// Bits of the primary processor-based controls that L1 may write (RDPMC only with PERFMON,
/// which a TD here does not have).
pub(crate) const PRIMARY_WRITABLE: u32 = 0x48d9_9204;
/// Bits of the secondary processor-based controls that L1 may write: of 0x0c51_3e0c those whose
/// features TCG has.
pub(crate) const SECONDARY_WRITABLE: u32 = 0x0051_3e0c;
/// Bits of CR4 that L1 may write.
pub(crate) const CR4_WRITABLE: u64 = 0x03ff_1fbf;
/// Those of features that no TD here has: key locker, CET, PKS, user interrupts.
const CR4_NOT_CONFIGURED: u64 = 1 << 19 | 1 << 23 | 1 << 24 | 1 << 25;
const CR0_WRITABLE: u64 = 0x8005_001f;

/// Bits of `field` that L1 may write; `None` if the field does not exist for it.
fn writable(field: Field) -> Option<u64> {
    Some(match field {
        Field::PROCESSOR_BASED_CONTROLS => u64::from(PRIMARY_WRITABLE),
        Field::SECONDARY_PROCESSOR_BASED_CONTROLS => u64::from(SECONDARY_WRITABLE),
        Field::TERTIARY_PROCESSOR_BASED_CONTROLS => 0xe,
        Field::EXCEPTION_BITMAP => 0xfffb_ffff,
        Field::VM_ENTRY_CONTROLS => 0x200,
        Field::VIRTUAL_APIC_ADDRESS => !0xfff,
        Field::IA32_EFER => 0x501,
        Field::CR0 => CR0_WRITABLE,
        Field::CR4 => CR4_WRITABLE,
        Field::IA32_DEBUGCTL => 0xffc7,
        Field::EPTP => 0x80,
        Field(
            0x0002 | 0x2000 | 0x2002 | 0x2016 | 0x2018 | 0x202a | 0x202e | 0x2036 | 0x4000 | 0x400c
            | 0x4024 | 0x4826,
        ) => 0,
        field if readable(field) == 0 => 0,
        Field(
            0x0006
            | 0x0800..=0x080e
            | 0x0810
            | 0x0814
            | 0x201c..=0x2022
            | 0x202c
            | 0x2400
            | 0x2804
            | 0x2808..=0x2818
            | 0x4006..=0x400a
            | 0x4016..=0x401c
            | 0x4020
            | 0x4022
            | 0x4400..=0x440e
            | 0x4800..=0x4824
            | 0x482a
            | 0x6000..=0x600e
            | 0x6400..=0x640a
            | 0x6802
            | 0x6806..=0x682c,
        ) => u64::MAX,
        _ => return None,
    })
}

/// What L1 may read of a field: all of it, of EPTP all but the address, of the module's own fields
/// nothing.
fn readable(field: Field) -> u64 {
    match field {
        Field::EPTP => 0xfff0_0000_0000_0fff,
        Field(0x2004 | 0x2010 | 0x2032 | 0x203c) => 0,
        _ => u64::MAX,
    }
}

/// Checks that `field` is in a VMCS of the module's, L1's own among them.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`.
pub(crate) fn check_exists(field: Field) -> Result<(), Status> {
    if field.is_high() || writable(field).is_none() {
        return Err(Status::METADATA_FIELD_ID_INCORRECT);
    }
    Ok(())
}

const fn is_private_gpa(field: Field) -> bool {
    matches!(field.0, 0x2012 | 0x2040 | 0x280a..=0x2810 | 0x6802)
}

/// Reads `field` of L2 VM `vm` for L1.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`, `METADATA_FIELD_NOT_READABLE`.
pub(crate) fn read(vcpu: &Vcpu, vm: usize, field: Field) -> Result<u64, Status> {
    check_exists(field)?;
    if readable(field) == 0 {
        return Err(Status::METADATA_FIELD_NOT_READABLE);
    }
    if field == Field::VIRTUAL_APIC_ADDRESS {
        return Ok(vcpu.l2[vm - 1].apic_gpa.unwrap_or(u64::MAX));
    }
    Ok(get(&vcpu.vms[vm].vmcs, field) & readable(field) & field.size().mask())
}

/// Writes `field` of L2 VM `vm` for L1 under `mask`; returns the value before.
///
/// # Errors
///
/// `METADATA_FIELD_ID_INCORRECT`, `METADATA_FIELD_NOT_WRITABLE`, `METADATA_FIELD_VALUE_NOT_VALID`.
pub(crate) fn write(
    vcpu: &mut Vcpu,
    vm: usize,
    field: Field,
    value: u64,
    mask: u64,
) -> Result<u64, Status> {
    let invalid = Status::METADATA_FIELD_VALUE_NOT_VALID;
    check_exists(field)?;
    let full = field.size().mask();
    let allowed = writable(field).ok_or(Status::METADATA_FIELD_ID_INCORRECT)? & full;
    let combined = allowed & mask;
    if combined == 0 {
        return Err(Status::METADATA_FIELD_NOT_WRITABLE);
    }
    let old = read(vcpu, vm, field)?;
    let requested_only = mask & full & !allowed;
    if field != Field::VIRTUAL_APIC_ADDRESS && (value ^ old) & requested_only != 0 {
        return Err(invalid);
    }
    let base = if field == Field::VIRTUAL_APIC_ADDRESS && old == u64::MAX { 0 } else { old };
    let new = (base & !combined) | (value & combined);
    if is_private_gpa(field) && new >= SHARED_BIT {
        return Err(invalid);
    }
    if field == Field::CR4 && (new ^ old) & CR4_NOT_CONFIGURED != 0 {
        return Err(invalid);
    }
    if field == Field::VIRTUAL_APIC_ADDRESS {
        vcpu.l2[vm - 1].apic_gpa = Some(new);
        vcpu.vms[vm].apic = None;
        return Ok(old);
    }
    set(&mut vcpu.vms[vm].vmcs, field, new);
    Ok(old)
}

fn segment(code: u32, first: u32) -> Segment {
    Segment::ALL[((code - first) / 2) as usize & 7]
}

/// The field's value.
fn get(vmcs: &Vmcs, field: Field) -> u64 {
    let vmcb = vmcs.vmcb;
    match field {
        Field(code @ 0x0800..=0x080e) => u64::from(vmcb.selector(segment(code, 0x0800))),
        Field(code @ 0x4800..=0x480e) => u64::from(vmcb.limit(segment(code, 0x4800))),
        Field(code @ 0x4814..=0x4822) => u64::from(vmcb.access_rights(segment(code, 0x4814))),
        Field(code @ 0x6806..=0x6814) => vmcb.base(segment(code, 0x6806)),
        Field(code @ 0x201c..=0x2022) => vmcs.eoi_exit[((code - 0x201c) / 2) as usize],
        Field::GUEST_INTERRUPT_STATUS => u64::from(vmcs.status.field()),
        Field::PROCESSOR_BASED_CONTROLS => u64::from(vmcs.primary),
        Field::SECONDARY_PROCESSOR_BASED_CONTROLS => u64::from(vmcs.secondary),
        Field::PIN_BASED_CONTROLS => 0x29,
        Field::VM_EXIT_CONTROLS => 0x1f3c_8204,
        Field::VM_ENTRY_CONTROLS => 0x003e_c004 | (vmcs.efer & efer::LMA) >> 1,
        Field::EXCEPTION_BITMAP => u64::from(vmcs.exception_bitmap),
        Field::PAGE_FAULT_ERROR_CODE_MASK => u64::from(vmcs.page_fault_mask),
        Field::PAGE_FAULT_ERROR_CODE_MATCH => u64::from(vmcs.page_fault_match),
        Field::VM_ENTRY_INTERRUPTION_INFO => u64::from(vmcs.entry_interruption.into_bits()),
        Field::VM_ENTRY_EXCEPTION_ERROR_CODE => u64::from(vmcs.entry_error_code),
        Field::VM_ENTRY_INSTRUCTION_LENGTH => u64::from(vmcs.entry_length),
        Field::INTERRUPTIBILITY_STATE => vmcs.interruptibility(),
        Field::GDTR_LIMIT => u64::from(vmcb.gdtr_limit()),
        Field::IDTR_LIMIT => u64::from(vmcb.idtr_limit()),
        Field::GDTR_BASE => vmcb.gdtr_base(),
        Field::IDTR_BASE => vmcb.idtr_base(),
        Field::IA32_SYSENTER_CS => vmcb.sysenter_cs(),
        Field::IA32_SYSENTER_ESP => vmcb.sysenter_esp(),
        Field::IA32_SYSENTER_EIP => vmcb.sysenter_eip(),
        Field::IA32_EFER => vmcs.efer,
        Field::IA32_PAT => vmcb.g_pat(),
        Field::DR7 => vmcb.dr7(),
        Field::RSP => vmcb.rsp(),
        Field::RIP => vmcb.rip(),
        Field::RFLAGS => vmcb.rflags(),
        Field::CR0 => vmcs.cr0,
        Field::CR3 => vmcb.cr3(),
        Field::CR4 => vmcs.cr4,
        Field::CR0_GUEST_HOST_MASK => vmcs.cr0_mask,
        Field::CR4_GUEST_HOST_MASK => vmcs.cr4_mask,
        Field::CR0_READ_SHADOW => vmcs.cr0_shadow,
        Field::CR4_READ_SHADOW => vmcs.cr4_shadow,
        _ => get_exit_information(vmcs, field),
    }
}

fn get_exit_information(vmcs: &Vmcs, field: Field) -> u64 {
    let exit = &vmcs.exit;
    match field {
        Field::EXIT_REASON => u64::from(exit.reason.0),
        Field::EXIT_QUALIFICATION => exit.qualification,
        Field::GUEST_LINEAR_ADDRESS => exit.gla,
        Field::GUEST_PHYSICAL_ADDRESS => exit.gpa,
        Field::VM_EXIT_INTERRUPTION_INFO => u64::from(exit.interruption.into_bits()),
        Field::VM_EXIT_INTERRUPTION_ERROR_CODE => u64::from(exit.error_code),
        Field::VM_EXIT_INSTRUCTION_LENGTH => exit.length,
        Field::IDT_VECTORING_INFO => u64::from(vmcs.idt_vectoring.into_bits()),
        Field::IDT_VECTORING_ERROR_CODE => u64::from(vmcs.idt_vectoring_error),
        stored => vmcs.stored(stored),
    }
}

/// Sets the field.
fn set(vmcs: &mut Vmcs, field: Field, value: u64) {
    let vmcb = vmcs.vmcb;
    let low = low_32(value);
    match field {
        Field(code @ 0x0800..=0x080e) => vmcb.set_selector(segment(code, 0x0800), low_16(value)),
        Field(code @ 0x4800..=0x480e) => vmcb.set_limit(segment(code, 0x4800), low),
        Field(code @ 0x4814..=0x4822) => set_access_rights(vmcs, segment(code, 0x4814), low),
        Field(code @ 0x6806..=0x6814) => vmcb.set_base(segment(code, 0x6806), value),
        Field(code @ 0x201c..=0x2022) => vmcs.eoi_exit[((code - 0x201c) / 2) as usize] = value,
        Field::GUEST_INTERRUPT_STATUS => vmcs.status = InterruptStatus::from_field(low_16(value)),
        Field::PROCESSOR_BASED_CONTROLS => vmcs.primary = low,
        Field::SECONDARY_PROCESSOR_BASED_CONTROLS => vmcs.secondary = low,
        Field::VM_ENTRY_CONTROLS => {}
        Field::EXCEPTION_BITMAP => vmcs.exception_bitmap = low,
        Field::PAGE_FAULT_ERROR_CODE_MASK => vmcs.page_fault_mask = low,
        Field::PAGE_FAULT_ERROR_CODE_MATCH => vmcs.page_fault_match = low,
        Field::VM_ENTRY_INTERRUPTION_INFO => {
            vmcs.entry_interruption = InterruptionInfo::from_bits(low);
        }
        Field::VM_ENTRY_EXCEPTION_ERROR_CODE => vmcs.entry_error_code = low,
        Field::VM_ENTRY_INSTRUCTION_LENGTH => vmcs.entry_length = low,
        Field::INTERRUPTIBILITY_STATE => vmcs.set_interruptibility(value),
        Field::GDTR_LIMIT => vmcb.set_gdtr_limit(low),
        Field::IDTR_LIMIT => vmcb.set_idtr_limit(low),
        Field::GDTR_BASE => vmcb.set_gdtr_base(value),
        Field::IDTR_BASE => vmcb.set_idtr_base(value),
        Field::IA32_SYSENTER_CS => vmcb.set_sysenter_cs(value),
        Field::IA32_SYSENTER_ESP => vmcb.set_sysenter_esp(value),
        Field::IA32_SYSENTER_EIP => vmcb.set_sysenter_eip(value),
        Field::IA32_EFER => vmcs.efer = value | efer::NXE,
        Field::IA32_PAT => vmcb.set_g_pat(value),
        Field::DR7 => vmcb.set_dr7(value),
        Field::RSP => vmcb.set_rsp(value),
        Field::RIP => vmcb.set_rip(value),
        Field::RFLAGS => vmcb.set_rflags(value),
        Field::CR0 => vmcs.cr0 = value,
        Field::CR3 => vmcb.set_cr3(value),
        Field::CR4 => vmcs.cr4 = value | CR4_MCE | CR4_VMXE,
        Field::CR0_GUEST_HOST_MASK => vmcs.cr0_mask = value,
        Field::CR4_GUEST_HOST_MASK => vmcs.cr4_mask = value,
        Field::CR0_READ_SHADOW => vmcs.cr0_shadow = value,
        Field::CR4_READ_SHADOW => vmcs.cr4_shadow = value,
        field => set_exit_information(vmcs, field, value),
    }
}

fn set_exit_information(vmcs: &mut Vmcs, field: Field, value: u64) {
    let low = low_32(value);
    let exit = &mut vmcs.exit;
    match field {
        Field::EXIT_REASON => exit.reason = ExitReason(low),
        Field::EXIT_QUALIFICATION => exit.qualification = value,
        Field::GUEST_LINEAR_ADDRESS => exit.gla = value,
        Field::GUEST_PHYSICAL_ADDRESS => exit.gpa = value,
        Field::VM_EXIT_INTERRUPTION_INFO => exit.interruption = InterruptionInfo::from_bits(low),
        Field::VM_EXIT_INTERRUPTION_ERROR_CODE => exit.error_code = low,
        Field::VM_EXIT_INSTRUCTION_LENGTH => exit.length = u64::from(low),
        Field::IDT_VECTORING_INFO => vmcs.idt_vectoring = InterruptionInfo::from_bits(low),
        Field::IDT_VECTORING_ERROR_CODE => vmcs.idt_vectoring_error = low,
        stored => vmcs.store(stored, value),
    }
}

fn set_access_rights(vmcs: &Vmcs, segment: Segment, rights: u32) {
    vmcs.vmcb.set_access_rights(segment, rights);
    if segment == Segment::Ss {
        vmcs.vmcb.set_cpl(low_8(u64::from(rights >> 5 & 3)));
    }
}

/// What real hardware would refuse at VM entry so that the module itself dies of it.
pub(crate) fn fatal_controls(vmcs: &Vmcs) -> Option<&'static str> {
    let event = vmcs.entry_interruption;
    if vmcs.primary & primary::MONITOR_TRAP != 0 {
        return Some("monitor trap flag");
    }
    if event.valid() && event.into_bits() & 0x7fff_f000 != 0 {
        return Some("reserved bits in VM-entry interruption information");
    }
    None
}

/// Checks that RCX of a metadata leaf is 0.
pub(crate) fn check_rcx(rcx: u64) -> Result<(), Status> {
    if rcx == 0 { Ok(()) } else { Err(Status::OPERAND_INVALID.with_operand(OperandId::RCX)) }
}

/// Sets bit `PENDING_VE_DISABLE` of `TD_CTLS` if the TD may change it.
pub(crate) fn write_td_ctls(vcpu: &Vcpu, value: u64, mask: u64) -> Result<u64, Status> {
    const FLEXIBLE_PENDING_VE: u64 = 1 << 1;
    let old = vcpu.td.td_ctls.load(SeqCst);
    if mask & 1 == 0 {
        return Err(Status::METADATA_FIELD_NOT_WRITABLE);
    }
    let flexible = vcpu.td.config()?.params.config_flags.0 & FLEXIBLE_PENDING_VE != 0;
    if (value ^ old) & 1 != 0 && !flexible {
        return Err(Status::METADATA_FIELD_VALUE_NOT_VALID);
    }
    vcpu.td.td_ctls.store(value & 1, SeqCst);
    Ok(old)
}
