// SPDX-License-Identifier: MIT OR Apache-2.0
//! `Instruction.RDMSR` and `Instruction.WRMSR`: R12 = register, R13 = value to write; R11 = value
//! read. Registers that the host does not have are refused.
//!
//! Spec: GHCI "`TDG.VP.VMCALL<Instruction.RDMSR>`", "`TDG.VP.VMCALL<Instruction.WRMSR>`".

use tdcall::{Registers, tdvmcall::VmcallStatus};

use crate::{
    host::{apic::Effect, hyperv::hands::TheTd, td::Td, vcpu::Vcpu},
    machine::clock,
};

/// Registers that read as a constant and ignore writes of it: microcode version, MTRR and machine
/// check capabilities, platform id.
const CONSTANT: [(u32, u64); 4] = [(0x8b, 1 << 32), (0xfe, 0), (0x179, 0), (0x17, 0)];

pub(super) fn read(td: &Td, vcpu: &Vcpu, registers: &mut Registers) -> VmcallStatus {
    let value = u32::try_from(registers.r12).ok().and_then(|msr| {
        let constant = CONSTANT.iter().find(|(constant, _)| *constant == msr);
        let apic = || vcpu.apic.lock().read(msr, vcpu.timer.remaining());
        let hyperv = || td.hyperv.as_ref()?.read_msr(vcpu.index, msr);
        constant.map(|(_, value)| *value).or_else(apic).or_else(hyperv)
    });
    let Some(value) = value else { return refuse(vcpu, "rdmsr", registers) };
    registers.r11 = value;
    VmcallStatus::SUCCESS
}

pub(super) fn write(td: &Td, vcpu: &Vcpu, registers: &Registers) -> VmcallStatus {
    let effect = u32::try_from(registers.r12).ok().and_then(|msr| {
        let constant = CONSTANT.iter().any(|(constant, _)| *constant == msr);
        let apic = || vcpu.apic.lock().write(msr, registers.r13);
        let hyperv = || td.hyperv.as_ref()?.write_msr(TheTd, vcpu.index, msr, registers.r13);
        if constant {
            Some(Effect::None)
        } else {
            apic().or_else(|| hyperv().map(|()| Effect::None))
        }
    });
    let Some(effect) = effect else { return refuse(vcpu, "wrmsr", registers) };
    match effect {
        Effect::None => {}
        Effect::Interrupt { targets, vector } => {
            for target in td.vcpus.iter().filter(|target| targets >> target.index & 1 != 0) {
                target.post(vector);
            }
        }
        Effect::NonMaskable { targets } => {
            for target in td.vcpus.iter().filter(|target| targets >> target.index & 1 != 0) {
                target.post_nmi();
            }
        }
        Effect::Impossible(what) => {
            log::warn!("a TD gets no {what}: cpu={} rip={:#x}", vcpu.index, vcpu.rip());
            return VmcallStatus::INVALID_OPERAND;
        }
        Effect::Deadline(0) | Effect::CountDown(0) => vcpu.timer.set_apic(None),
        Effect::Deadline(tsc) => {
            let deadline = when(td.tsc_origin.wrapping_add(tsc));
            vcpu.timer.set_apic(Some(deadline.saturating_sub(td.timer_advance_ns)));
        }
        Effect::CountDown(ns) => vcpu.timer.set_apic(Some(clock::now_ns() + ns)),
    }
    VmcallStatus::SUCCESS
}

/// The time at which the machine's time-stamp counter has a value.
fn when(tsc: u64) -> u64 {
    let now = clock::tsc();
    let ticks = tsc.saturating_sub(now);
    let ns = u128::from(ticks) * 1000 / u128::from(clock::mhz());
    clock::now_ns().saturating_add(u64::try_from(ns).unwrap_or(u64::MAX))
}

fn refuse(vcpu: &Vcpu, what: &str, registers: &Registers) -> VmcallStatus {
    let (cpu, msr, value) = (vcpu.index, registers.r12, registers.r13);
    let rip = vcpu.rip();
    log::warn!("{what} refused: cpu={cpu} msr={msr:#x} value={value:#x} rip={rip:#x}");
    VmcallStatus::INVALID_OPERAND
}
