// SPDX-License-Identifier: MIT OR Apache-2.0
//! RDMSR and WRMSR of registers that are not L2's own.

use log::warn;
use paravisor::{
    local_apic::{Effect, Fault},
    msr::{Register, classify},
    width::low32,
};
use proxy_irq::{Register as PageRegister, Trigger};
use tdcall::md::l2_vmcs::Field;

use super::{Next, Refused, ipi};
use crate::{
    interrupt::counters::UNKNOWN_MSRS,
    l2::{
        fields::{self, EFER_WRITABLE},
        hyperv, io_apic,
        vcpu::Vcpu,
    },
};

const CR0_PG: u64 = 1 << 31;
const EFER_LME: u64 = 1 << 8;
const EFER_NXE: u64 = 1 << 11;
const EFER_LMA: u64 = 1 << 10;
/// SCE, LME, LMA, NXE.
const EFER_KNOWN: u64 = 0x0d01;

/// RDMSR.
pub(super) fn read(vcpu: &mut Vcpu) -> Result<Next, Refused> {
    let msr = low32(vcpu.state().rcx);
    let value = match classify(msr) {
        _ if hyperv::has(msr) => hyperv::read(vcpu.index, msr).ok(),
        Register::ApicBase => Some(vcpu.apic.base()),
        Register::Apic(msr) => read_apic(vcpu, msr),
        Register::TscDeadline => Some(vcpu.apic.timer.read_deadline()),
        Register::Efer => Some(fields::read(Field::IA32_EFER)?),
        Register::Constant(value) | Register::ReadOnly(value) => Some(value),
        Register::Checked(_) => Some(0),
        Register::Command(_) => None,
        Register::Unknown => {
            tell_unknown(vcpu, msr, "read");
            Some(0)
        }
    };
    let Some(value) = value else { return Ok(Next::GENERAL_PROTECTION) };
    let state = vcpu.state();
    (state.rax, state.rdx) = (value & 0xffff_ffff, value >> 32);
    Ok(Next::Skip)
}

/// WRMSR.
pub(super) fn write(vcpu: &mut Vcpu) -> Result<Next, Refused> {
    let state = vcpu.state();
    let msr = low32(state.rcx);
    let value = state.rdx << 32 | state.rax & 0xffff_ffff;
    match classify(msr) {
        _ if hyperv::has(msr) => {
            Ok(hyperv::write(msr, value).map_or(Next::GENERAL_PROTECTION, |()| Next::Skip))
        }
        // Enabled x2APIC is all there is.
        Register::ApicBase if value == vcpu.apic.base() => Ok(Next::Skip),
        Register::ApicBase => Ok(Next::GENERAL_PROTECTION),
        Register::Apic(msr) => write_apic(vcpu, msr, value),
        Register::TscDeadline => {
            vcpu.apic.timer.set_deadline(value);
            vcpu.arm_timer().map(|()| Next::Skip)
        }
        Register::Efer => write_efer(value),
        Register::Constant(_) => Ok(Next::Skip),
        Register::Checked(legal) | Register::Command(legal) if value & !legal == 0 => {
            Ok(Next::Skip)
        }
        Register::ReadOnly(_) | Register::Checked(_) | Register::Command(_) => {
            Ok(Next::GENERAL_PROTECTION)
        }
        Register::Unknown => {
            tell_unknown(vcpu, msr, "written");
            Ok(Next::Skip)
        }
    }
}

#[cold]
fn tell_unknown(vcpu: &Vcpu, msr: u32, how: &str) {
    if UNKNOWN_MSRS.count(msr) {
        warn!("unknown MSR {how}: cpu={} msr={msr:#x}", vcpu.index);
    }
}

fn read_apic(vcpu: &Vcpu, msr: u32) -> Option<u64> {
    if is_in_page(msr) {
        return PageRegister::of_msr(msr).map(|register| vcpu.page.read(register).into());
    }
    vcpu.apic.read(msr, cpu::tsc()).ok()
}

/// TPR, PPR and the three bitmaps.
const fn is_in_page(msr: u32) -> bool {
    matches!(msr, 0x808 | 0x80a | 0x810..=0x827)
}

fn write_apic(vcpu: &mut Vcpu, msr: u32, value: u64) -> Result<Next, Refused> {
    const TPR: u32 = 0x808;
    const EOI: u32 = 0x80b;
    match msr {
        TPR if value >> 8 == 0 => {
            vcpu.page.write(PageRegister::TPR, low32(value));
            return Ok(Next::Skip);
        }
        EOI if value == 0 => {
            let ended = vcpu.page.end_of_interrupt();
            if let Some(ended) = ended.filter(|ended| ended.trigger == Trigger::Level) {
                io_apic::end_of_interrupt(ended.vector);
            }
            return Ok(Next::Skip);
        }
        _ => {}
    }
    match vcpu.apic.write(msr, value, cpu::tsc()) {
        Ok(Effect::None) => {}
        Ok(Effect::Send(command)) => ipi::send(vcpu, command),
        Ok(Effect::Timer) => vcpu.arm_timer()?,
        Ok(Effect::SelfInterrupt(vector)) => vcpu.post(vector),
        Err(Fault) => return Ok(Next::GENERAL_PROTECTION),
    }
    Ok(Next::Skip)
}

/// NXE is always on in the processor; an L2 that clears it runs with it nevertheless, which only its
/// own page tables could notice.
fn write_efer(value: u64) -> Result<Next, Refused> {
    if value & !EFER_KNOWN != 0 {
        return Ok(Next::GENERAL_PROTECTION);
    }
    let old = fields::read(Field::IA32_EFER)?;
    let paging = fields::read(Field::CR0)? & CR0_PG != 0;
    if paging && (value ^ old) & EFER_LME != 0 {
        return Ok(Next::GENERAL_PROTECTION);
    }
    let active = old & EFER_LMA;
    let value = value & !(EFER_LMA | EFER_NXE) | active;
    fields::write_masked(Field::IA32_EFER, value, EFER_WRITABLE)?;
    Ok(Next::Skip)
}
