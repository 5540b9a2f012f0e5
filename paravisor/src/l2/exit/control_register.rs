// SPDX-License-Identifier: MIT OR Apache-2.0
//! CR0, CR3, CR4 and CR8, where an access exits at all: bits that the module or L1 owns.
//!
//! The processor leaves to L1 what it does itself otherwise: switching long mode on and off with
//! paging, and reading the four page-directory pointers of PAE paging.
//!
//! Spec: SDM "Switching Out of IA-32e Mode Operation", "PDPTE Registers".

use paravisor::{
    exit::control_register::{split_cr0, split_cr4},
    guest_memory::GuestMemory,
    width::low32,
};
use proxy_irq::virtual_apic::Register as PageRegister;
use tdcall::{
    ControlRegisterAccess, ControlRegisterQualification, Invalidation, L2Exit, md::l2_vmcs::Field,
};

use super::{Next, Refused};
use crate::{
    l2::{
        fields::{
            CR0_WRITABLE, CR4_WRITABLE, EFER_WRITABLE, IA32E_GUEST, read, write, write_masked,
        },
        vcpu::{Vcpu, is_long},
    },
    memory::guest::GuestRam,
};

const CR0_TS: u64 = 1 << 3;
const CR0_LMSW: u64 = 0xf;
const CR0_PE: u64 = 1;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// The bit of a value moved to CR3 that asks to keep translations, and is not kept itself.
const CR3_KEEP: u64 = 1 << 63;

/// Handles an access.
pub(super) fn handle(vcpu: &mut Vcpu, report: &L2Exit) -> Result<Next, Refused> {
    let access = ControlRegisterQualification::from_bits(report.qualification);
    let register = access.general_register();
    match access.access() {
        ControlRegisterAccess::MOV_TO => {
            let value = vcpu.state().gpr(register).unwrap_or(0);
            move_to(vcpu, report, access.control_register(), value)
        }
        ControlRegisterAccess::MOV_FROM => {
            let value = match access.control_register() {
                0 => visible_cr0()?,
                3 => read(Field::CR3)?,
                4 => read(Field::CR4_READ_SHADOW)?,
                8 => u64::from(vcpu.page.read(PageRegister::TPR) >> 4 & 0xf),
                _ => return Ok(Next::UNDEFINED_OPCODE),
            };
            if let Some(register) = vcpu.state().gpr_mut(register) {
                *register = value;
            }
            Ok(Next::Skip)
        }
        ControlRegisterAccess::CLTS => {
            let value = visible_cr0()? & !CR0_TS;
            move_to_cr0(vcpu, value)
        }
        _ => {
            let old = visible_cr0()?;
            // LMSW cannot leave protected mode.
            let new = u64::from(access.lmsw_source()) & CR0_LMSW | old & CR0_PE;
            move_to_cr0(vcpu, old & !CR0_LMSW | new)
        }
    }
}

fn move_to(vcpu: &mut Vcpu, report: &L2Exit, register: u8, value: u64) -> Result<Next, Refused> {
    match register {
        // 64-bit code cannot switch paging off under itself.
        0 if value & CR0_PG == 0 && is_long(report) => Ok(Next::GENERAL_PROTECTION),
        0 => move_to_cr0(vcpu, value),
        3 => {
            if write(Field::CR3, value & !CR3_KEEP).is_err() {
                return Ok(Next::GENERAL_PROTECTION);
            }
            vcpu.forget(Invalidation::VPID_RETAINING_GLOBALS);
            load_pointers()?;
            Ok(Next::Skip)
        }
        4 => move_to_cr4(vcpu, value),
        8 if value >> 4 == 0 => {
            vcpu.page.write(PageRegister::TPR, low32(value) << 4);
            Ok(Next::Skip)
        }
        8 => Ok(Next::GENERAL_PROTECTION),
        _ => Ok(Next::UNDEFINED_OPCODE),
    }
}

/// CR0 as L2 reads it: its own view of the owned bits, the processor's of the rest.
fn visible_cr0() -> Result<u64, Refused> {
    use paravisor::exit::control_register::CR0_OWNED;
    let (register, shadow) = (read(Field::CR0)?, read(Field::CR0_READ_SHADOW)?);
    Ok(register & !CR0_OWNED | shadow & CR0_OWNED)
}

fn move_to_cr0(vcpu: &mut Vcpu, value: u64) -> Result<Next, Refused> {
    let Some(split) = split_cr0(value) else { return Ok(Next::GENERAL_PROTECTION) };
    let efer = read(Field::IA32_EFER)?;
    let paging = value & CR0_PG != 0;
    let long = paging && efer & EFER_LME != 0;
    if long && read(Field::CR4)? & CR4_PAE == 0 {
        return Ok(Next::GENERAL_PROTECTION);
    }
    write_masked(Field::CR0, split.register, CR0_WRITABLE)?;
    write(Field::CR0_READ_SHADOW, split.shadow)?;
    let active = if long { EFER_LMA } else { 0 };
    if efer & EFER_LMA != active {
        write_masked(Field::IA32_EFER, efer & !EFER_LMA | active, EFER_WRITABLE)?;
        write_masked(Field::VM_ENTRY_CONTROLS, if long { IA32E_GUEST } else { 0 }, IA32E_GUEST)?;
    }
    vcpu.forget(Invalidation::VPID);
    load_pointers()?;
    Ok(Next::Skip)
}

fn move_to_cr4(vcpu: &mut Vcpu, value: u64) -> Result<Next, Refused> {
    let Some(split) = split_cr4(value) else { return Ok(Next::GENERAL_PROTECTION) };
    let leaves_pae = value & CR4_PAE == 0 && read(Field::IA32_EFER)? & EFER_LMA != 0;
    if leaves_pae || write_masked(Field::CR4, split.register, CR4_WRITABLE).is_err() {
        // The module refuses what the TD's configuration does not have.
        return Ok(Next::GENERAL_PROTECTION);
    }
    write(Field::CR4_READ_SHADOW, split.shadow)?;
    vcpu.forget(Invalidation::VPID);
    load_pointers()?;
    Ok(Next::Skip)
}

/// With PAE paging outside long mode, reads the four pointers as the processor would have.
fn load_pointers() -> Result<(), Refused> {
    let paging = Vcpu::paging()?;
    let pae = paging.cr0 & CR0_PG != 0 && paging.cr4 & CR4_PAE != 0;
    if !pae || paging.efer & EFER_LMA != 0 {
        return Ok(());
    }
    let table = paging.cr3 & 0xffff_ffe0;
    let fields = [Field::PDPTE0, Field::PDPTE1, Field::PDPTE2, Field::PDPTE3];
    fields.into_iter().zip((table..).step_by(8)).try_for_each(|(field, gpa)| {
        // A pointer outside L2's memory, or to it, or with reserved bits, is as good as none.
        let pointer = GuestRam::get().read_u64(gpa).filter(|pointer| pointer & 1 != 0);
        write(field, pointer.unwrap_or(0)).or_else(|_| write(field, 0))
    })
}
