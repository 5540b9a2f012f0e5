// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the TD asks of the host, with KVM's checks and answers.
//!
//! With R10 other than 0 it is a hypercall: of KVM there is none, of Hyper-V see `hyperv.rs`.
//!
//! | R11     | sub-function              | answer                                          |
//! |---------|---------------------------|-------------------------------------------------|
//! | 10      | Instruction.CPUID         | signature of KVM or Hyper-V, topology; zeros else |
//! | 12      | Instruction.HLT           | waits for an interrupt                          |
//! | 30      | Instruction.IO            | consoles, PCI, end of the run                   |
//! | 31, 32  | Instruction.RDMSR, WRMSR  | local APIC, timer; SynIC of Hyper-V             |
//! | 48      | #VE.RequestMMIO           | device memory that is not mapped                |
//! | 0x10000 | GetTdVmCallInfo           | quotes and their notification exist             |
//! | 0x10001 | MapGPA                    | makes pages shared or private                   |
//! | 0x10002 | GetQuote                  | an answer that is marked as no quote            |
//! | 0x10003 | ReportFatalError          | ends the run                                    |
//! | 0x10004 | SetupEventNotifyInterrupt | vector for finished quotes                      |
//!
//! Spec: GHCI "TDG.VP.VMCALL Interface".

mod cpuid;
mod get_quote;
mod get_td_vm_call_info;
mod hlt;
mod io;
mod map_gpa;
mod mmio;
mod rdmsr_wrmsr;
mod report_fatal_error;
mod setup_event_notify_interrupt;

use tdcall::{
    Registers,
    tdvmcall::{SubFunction, VmcallStatus},
};

use super::{hyperv::hands::TheTd, td::Td, vcpu::Vcpu};

/// What KVM says to a hypercall that it does not have.
const KVM_ENOSYS: u64 = (-1000_i64).cast_unsigned();

/// Answers the TDVMCALL in `registers`, which go back to the TD; a hostile host changes the answer.
pub(crate) fn answer(td: &'static Td, vcpu: &'static Vcpu, registers: &mut Registers) {
    let asked = *registers;
    honestly(td, vcpu, registers);
    td.hostile.spoil(td, &asked, registers);
}

fn honestly(td: &'static Td, vcpu: &'static Vcpu, registers: &mut Registers) {
    let sub_function = SubFunction(registers.r11);
    if let Some(hyperv) = td.hyperv.as_ref().filter(|_| registers.r10 != 0) {
        let (input, output) = (registers.rdx, registers.r8);
        registers.r11 = hyperv.hypercall(TheTd, vcpu.index, registers.r10, input, output);
        registers.r10 = VmcallStatus::SUCCESS.0;
        return;
    }
    if registers.r10 != 0 {
        let (cpu, r10, rip) = (vcpu.index, registers.r10, vcpu.rip());
        log::warn!("unsupported hypercall: cpu={cpu} r10={r10:#x} rip={rip:#x}");
        registers.r10 = KVM_ENOSYS;
        return;
    }
    let status = match sub_function {
        SubFunction::INSTRUCTION_CPUID => cpuid::answer(td, vcpu, registers),
        SubFunction::INSTRUCTION_HLT => hlt::answer(td, vcpu, registers),
        SubFunction::INSTRUCTION_IO => io::answer(td, registers),
        SubFunction::INSTRUCTION_RDMSR => rdmsr_wrmsr::read(td, vcpu, registers),
        SubFunction::INSTRUCTION_WRMSR => rdmsr_wrmsr::write(td, vcpu, registers),
        SubFunction::REQUEST_MMIO => mmio::answer(td, registers),
        SubFunction::GET_TD_VM_CALL_INFO => get_td_vm_call_info::answer(registers),
        SubFunction::MAP_GPA => map_gpa::answer(td, registers),
        SubFunction::GET_QUOTE => get_quote::answer(td, registers),
        SubFunction::REPORT_FATAL_ERROR => report_fatal_error::answer(vcpu, registers),
        SubFunction::SETUP_EVENT_NOTIFY_INTERRUPT => {
            setup_event_notify_interrupt::answer(td, vcpu, registers)
        }
        _ => {
            let (cpu, leaf, rip) = (vcpu.index, sub_function.0, vcpu.rip());
            log::warn!("unsupported sub-function: cpu={cpu} leaf={leaf:#x} rip={rip:#x}");
            VmcallStatus::SUBFUNC_UNSUPPORTED
        }
    };
    registers.r10 = status.0;
}
