// SPDX-License-Identifier: MIT OR Apache-2.0
//! Control registers: what the TD may change itself, and what L1 wants to see of L2's changes.
//!
//! Spec: TDX-BASE "CR0, CR4 Handling", "Extended Features: XCR0"; SDM "CR0, CR4 Masks".

#![expect(unsafe_code, reason = "XSETBV is executed on the guest's behalf")]

use super::{
    l2_exits::Route,
    stop::Stop,
    vcpu::{Vcpu, exception},
    ve,
    vmcs::{CR0_NE, CR0_PE, CR0_PG, CR4_MCE, CR4_VMXE},
};
use tdcall::interruption_info::InterruptionInfo;

use crate::svm::{
    decode::CrAccess,
    exit::{VmxExit, privilege_level},
    guest_memory::GuestMemory,
    narrow::{index, low_8, low_32},
    physical,
    vmcb::{Vmcb, efer},
    vmrun::{RAX, RCX, RDX, RSP},
};

const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
/// Bits of CR0 that exist.
const CR0_KNOWN: u64 = 0xe005_003f;
/// Bits of CR0 that keep their value.
const CR0_KEPT: u64 = 0x1ffa_ffc0;
const CR4_PAE: u64 = 1 << 5;
/// Bits of CR4 that TCG knows and a TD may use: 5:0, 10:7, UMIP, FSGSBASE, OSXSAVE, SMEP, SMAP,
/// PKE.
const CR4_FREE: u64 = 0x0075_0fbf & !CR4_VMXE;

/// Types of access in the exit qualification.
mod access {
    pub(super) const MOV_TO: u64 = 0;
    pub(super) const MOV_FROM: u64 = 1;
    pub(super) const CLTS: u64 = 2;
    pub(super) const LMSW: u64 = 3;
}

struct Access {
    register: u64,
    kind: u64,
    value: u64,
    gpr: usize,
}

fn parse(vcpu: &Vcpu, exit: &VmxExit) -> Access {
    let kind = exit.qualification >> 4 & 3;
    let gpr = index(exit.qualification >> 8 & 15);
    let value = match kind {
        access::LMSW => exit.qualification >> 16 & 0xffff,
        _ if gpr == RSP => vcpu.vmcb().rsp(),
        _ => vcpu.gprs.0[gpr],
    };
    Access { register: exit.qualification & 15, kind, value, gpr }
}

/// What a write of CR0 may not do in a TD.
enum Refusal {
    /// Architecturally wrong: #GP.
    Architecture,
    /// Right on hardware, not in a TD.
    Tdx,
}

/// Writes CR0; `least` are the bits that must be set in a TD. NE must be set by the capabilities
/// of the processor already (CR0_FIXED0).
fn write_cr0(vcpu: &mut Vcpu, value: u64, least: u64) -> Result<(), Refusal> {
    let vmcs = &vcpu.vm().vmcs;
    let starts_paging = value & CR0_PG != 0 && vmcs.cr0 & CR0_PG == 0;
    let without_pae = vmcs.efer & efer::LME != 0 && vmcs.cr4 & CR4_PAE == 0;
    let wrong = starts_paging && without_pae
        || value & !CR0_KNOWN & 0xffff_ffff_0000_0000 != 0
        || value & CR0_NE == 0
        || (value & CR0_PG != 0 && value & CR0_PE == 0)
        || (value & CR0_NW != 0 && value & CR0_CD == 0)
        || (value & CR0_PG == 0 && vcpu.vmcb().in_64_bit_mode());
    if wrong {
        return Err(Refusal::Architecture);
    }
    if value & least != least || value & (CR0_NW | CR0_CD) != 0 {
        return Err(Refusal::Tdx);
    }
    let vmcs = &mut vcpu.vm_mut().vmcs;
    let kept = vmcs.cr0 & CR0_KEPT;
    vmcs.set_cr0((value & !CR0_KEPT) | kept);
    Ok(())
}

/// A control-register access of L1.
pub(crate) fn l1(vcpu: &mut Vcpu, exit: &VmxExit) -> Result<(), Stop> {
    let access = parse(vcpu, exit);
    match (access.register, access.kind) {
        (0, access::MOV_TO) => l1_cr0(vcpu, access.value, exit),
        (0, access::CLTS) => {
            let value = vcpu.vm().vmcs.cr0 & !(1 << 3);
            vcpu.vm_mut().vmcs.set_cr0(value);
            Ok(())
        }
        (0, access::LMSW) => {
            let low = access.value & 0xf | vcpu.vm().vmcs.cr0 & CR0_PE;
            let value = vcpu.vm().vmcs.cr0 & !0xf | low;
            l1_cr0(vcpu, value, exit)
        }
        (4, access::MOV_TO) => l1_cr4(vcpu, access.value, exit),
        (8, access::MOV_TO) => write_cr8(vcpu, access.value),
        _ => Err(Stop::ExceptionWithError(exception::GP)),
    }
}

fn l1_cr0(vcpu: &mut Vcpu, value: u64, exit: &VmxExit) -> Result<(), Stop> {
    write_cr0(vcpu, value, CR0_PE).map_err(|refusal| match refusal {
        Refusal::Architecture => Stop::ExceptionWithError(exception::GP),
        Refusal::Tdx => Stop::Ve(ve::of_instruction(exit)),
    })
}

fn l1_cr4(vcpu: &mut Vcpu, value: u64, exit: &VmxExit) -> Result<(), Stop> {
    if value & !(CR4_FREE | CR4_MCE | CR4_VMXE) != 0 {
        return Err(Stop::ExceptionWithError(exception::GP));
    }
    if value & CR4_MCE == 0 || value & CR4_VMXE != 0 {
        return Err(Stop::Ve(ve::of_instruction(exit)));
    }
    vcpu.vm_mut().vmcs.cr4 = value | CR4_VMXE;
    Ok(())
}

fn write_cr8(vcpu: &Vcpu, value: u64) -> Result<(), Stop> {
    if value > 15 {
        return Err(Stop::ExceptionWithError(exception::GP));
    }
    let vm = vcpu.vm();
    if let Some(apic) = vm.apic {
        apic.set_tpr(low_8(value) << 4, vm.vmcs.status);
    }
    Ok(())
}

/// XSETBV of L1. QEMU 7.2 executes it without asking.
pub(crate) fn xsetbv(vcpu: &Vcpu) -> Result<(), Stop> {
    const X87: u64 = 1;
    const SSE: u64 = 2;
    const AVX: u64 = 4;
    let value = vcpu.gprs.0[RAX] & 0xffff_ffff | vcpu.gprs.0[RDX] << 32;
    let xfam = vcpu.td.config().map_or(0, |config| config.params.xfam);
    let wrong = low_32(vcpu.gprs.0[RCX]) != 0
        || value & X87 == 0
        || value & !xfam != 0
        || (value & AVX != 0 && value & SSE == 0);
    if wrong {
        return Err(Stop::ExceptionWithError(exception::GP));
    }
    // SAFETY: XCR0 is the guest's: the emulator is soft-float and uses no extended state; the value
    // was checked above.
    unsafe {
        core::arch::asm!("xsetbv", in("ecx") 0, in("eax") low_32(value), in("edx") low_32(value >> 32));
    }
    Ok(())
}

/// A control-register access of an L2 VM.
pub(crate) fn l2(vcpu: &mut Vcpu, exit: &VmxExit) -> Route {
    let access = parse(vcpu, exit);
    match (access.register, access.kind) {
        (0 | 4, access::MOV_FROM) => {
            let vmcs = &vcpu.vm().vmcs;
            let value = if access.register == 0 { vmcs.cr0_seen() } else { vmcs.cr4_seen() };
            write_gpr(vcpu.vmcb(), vcpu, access.gpr, value);
            Route::Advance
        }
        (0, access::MOV_TO) => l2_cr0(vcpu, access.value, u64::MAX),
        (0, access::LMSW) => {
            let low = access.value & 0xf | vcpu.vm().vmcs.cr0 & CR0_PE;
            let value = vcpu.vm().vmcs.cr0 & !0xf | low;
            l2_cr0(vcpu, value, 0xf)
        }
        (4, access::MOV_TO) => l2_cr4(vcpu, access.value),
        (8, access::MOV_TO) if !exits_on_cr8_load(vcpu) => match write_cr8(vcpu, access.value) {
            Ok(()) => Route::Advance,
            Err(_) => {
                vcpu.inject_exception_with_error(exception::GP);
                Route::Resume
            }
        },
        _ => Route::L1,
    }
}

/// SMSW: what the guest sees of CR0, which may not be what the processor holds.
pub(crate) fn store_machine_status(vcpu: &mut Vcpu, store: CrAccess, length: u64) {
    /// In the error code of a page fault.
    const WRITE: u32 = 1 << 1;
    let seen = vcpu.vm().vmcs.cr0_seen();
    let vmcb = vcpu.vmcb();
    match store {
        CrAccess::StoreToRegister { gpr, size } => {
            let old = if gpr == RSP { vmcb.rsp() } else { vcpu.gprs.0[gpr] };
            let value = match size {
                2 => old & !0xffff | seen & 0xffff,
                4 => seen & 0xffff_ffff,
                _ => seen,
            };
            write_gpr(vmcb, vcpu, gpr, value);
        }
        CrAccess::StoreToMemory(linear) => {
            let [low, high, ..] = seen.to_le_bytes();
            if let Some(fault) = write_linear(vmcb, linear, [low, high]) {
                return inject_page_fault(vcpu, fault, WRITE);
            }
        }
        CrAccess::PageFault(linear) => return inject_page_fault(vcpu, linear, 0),
        CrAccess::Exit(_) => return,
    }
    vmcb.advance(length);
}

/// Writes two bytes to the guest's memory; returns the address that is not mapped, if one is not.
fn write_linear(vmcb: Vmcb, linear: u64, bytes: [u8; 2]) -> Option<u64> {
    let memory = GuestMemory(vmcb);
    let place = |linear| memory.translate(linear).and_then(|gpa| memory.physical(gpa));
    let next = linear.wrapping_add(1);
    match (place(linear), place(next)) {
        (None, _) => Some(linear),
        (_, None) => Some(next),
        (Some(first), Some(second)) => {
            physical::write_bytes(first, &bytes[..1]);
            physical::write_bytes(second, &bytes[1..]);
            None
        }
    }
}

/// #PF for an operand that is not mapped.
fn inject_page_fault(vcpu: &mut Vcpu, linear: u64, access: u32) {
    const PAGE_FAULT: u8 = 14;
    let user = privilege_level(vcpu.vmcb()) == 3;
    vcpu.vmcb().set_cr2(linear);
    let event = InterruptionInfo::hardware_exception(PAGE_FAULT).with_error_code_valid(true);
    vcpu.inject(event, access | u32::from(user) << 2);
}

fn exits_on_cr8_load(vcpu: &Vcpu) -> bool {
    vcpu.vm().vmcs.primary & super::vmcs::primary::CR8_LOAD != 0
}

fn write_gpr(vmcb: Vmcb, vcpu: &mut Vcpu, gpr: usize, value: u64) {
    if gpr == RSP {
        vmcb.set_rsp(value);
    } else {
        vcpu.gprs.0[gpr] = value;
    }
}

/// Compares with what L1 owns first, then with what the module owns. A write that leaves both as the
/// guest sees them would not exit on hardware: it changes the guest's own bits and nothing else.
/// `compared` limits the comparison to the bits that the instruction can write.
fn l2_cr0(vcpu: &mut Vcpu, value: u64, compared: u64) -> Route {
    const MODULES: u64 = CR0_NE | CR0_NW | CR0_CD;
    let vmcs = &vcpu.vm().vmcs;
    if (value ^ vmcs.cr0_shadow) & vmcs.cr0_mask & compared != 0 {
        return Route::L1;
    }
    let seen = (CR0_NE & !vmcs.cr0_mask) | (vmcs.cr0_shadow & vmcs.cr0_mask);
    let owned = MODULES | vmcs.cr0_mask;
    let exits = (value ^ seen) & owned & compared != 0;
    let value = if exits { value } else { (value & !owned) | (vmcs.cr0 & owned) };
    match write_cr0(vcpu, value, 0) {
        Ok(()) => Route::Advance,
        Err(Refusal::Tdx) => Route::L1,
        Err(Refusal::Architecture) => {
            vcpu.inject_exception_with_error(exception::GP);
            Route::Resume
        }
    }
}

fn l2_cr4(vcpu: &mut Vcpu, value: u64) -> Route {
    let vmcs = &vcpu.vm().vmcs;
    if (value ^ vmcs.cr4_shadow) & vmcs.cr4_mask != 0 {
        return Route::L1;
    }
    let leaves_pae = value & CR4_PAE == 0 && vmcs.efer & efer::LMA != 0;
    if value & !(CR4_FREE | CR4_MCE | CR4_VMXE) != 0 || leaves_pae {
        vcpu.inject_exception_with_error(exception::GP);
        return Route::Resume;
    }
    // The module owns both and lets no write pass that would change them.
    if (value ^ (CR4_MCE | CR4_VMXE)) & (CR4_MCE | CR4_VMXE) & !vmcs.cr4_mask != 0 {
        return Route::L1;
    }
    let owned = vmcs.cr4_mask | CR4_MCE | CR4_VMXE;
    let kept = vmcs.cr4 & owned;
    vcpu.vm_mut().vmcs.cr4 = (value & !owned) | kept;
    Route::Advance
}
